import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StateError } from '../../../src/errors.js';
import { isRunning, parseProcStat, thisProcess } from '../../../src/process-identity.js';
import { type FileSystem, nodeFileSystem } from '../../../src/storage/disk/file-system.js';
import {
  acquireLock,
  heldLock,
  holderOf,
  type Lock,
  type LockSystem,
  stealLocks,
} from '../../../src/storage/disk/lock.js';
import { lockName } from '../../../src/storage/disk/paths.js';
import { createFileSystem as createFaultyDisk } from '../../support/disks/faulty-disk.mjs';
import { InterleavedTask, interleavedDisk, type Perform } from '../../support/disks/interleaved.js';
import { PowerLossDisk } from '../../support/disks/power-loss-disk.mjs';

const isLinux = process.platform === 'linux';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const LOCKED = expect.objectContaining({ name: 'StateError', code: 'ERR_LOCKED' });

/** Puts a lock file there as its holder would have, some time ago. */
function forge(holder: object | string, { ageMs = 0, pid = 1, temporary = false } = {}): string {
  const token = '0123456789abcdef';
  const name = `${temporary ? `.tmp-${token}-` : ''}${lockName(pid, token)}`;
  const path = join(folder, name);
  writeFileSync(path, typeof holder === 'string' ? holder : JSON.stringify(holder));
  const seconds = (Date.now() - ageMs) / 1000;
  utimesSync(path, seconds, seconds);
  return name;
}

describe('a lock', () => {
  it('says who holds it, and is gone without a trace', () => {
    writeFileSync(join(folder, 'other'), 'stays');
    expect(holderOf(nodeFileSystem, folder)).toBeUndefined();
    const lock = acquireLock(nodeFileSystem, folder);
    expect(lock.holder).toMatchObject(thisProcess());
    expect(holderOf(nodeFileSystem, folder)).toEqual(lock.holder);
    expect(readdirSync(folder).sort()).toEqual([
      'other',
      expect.stringMatching(/^writer-\d+-[0-9a-f]{16}\.lock$/),
    ]);
    lock.release();
    lock.release();
    expect(holderOf(nodeFileSystem, folder)).toBeUndefined();
    expect(readdirSync(folder)).toEqual(['other']);
  });

  it('is refused while this very process holds it, with all that is known of the holder', () => {
    const lock = acquireLock(nodeFileSystem, folder);
    const { pid, host, sinceUs } = lock.holder;
    const acquire = () => acquireLock(nodeFileSystem, folder);
    expect(acquire).toThrow(StateError);
    expect(acquire).toThrow(
      expect.objectContaining({ code: 'ERR_LOCKED', context: { path: folder, pid, host, since: sinceUs } }),
    );
    expect(readdirSync(folder)).toHaveLength(1);
    lock.release();
    acquire().release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('stays the same file when it is refreshed, and is younger', () => {
    const lock = acquireLock(nodeFileSystem, folder);
    const path = join(folder, readdirSync(folder)[0]!);
    const before = readFileSync(path);
    utimesSync(path, 1, 1);
    lock.refresh();
    expect(readFileSync(path)).toEqual(before);
    expect(nodeFileSystem.stat(path).modifiedMs).toBeGreaterThan(Date.UTC(2020));
    lock.release();
  });

  it('is put back where somebody deleted it, unless somebody else has one by then or it was released', () => {
    const lock = acquireLock(nodeFileSystem, folder);
    const [name] = readdirSync(folder);
    rmSync(join(folder, name!));
    lock.refresh();
    expect(readdirSync(folder)).toEqual([name]);
    expect(holderOf(nodeFileSystem, folder)).toEqual(lock.holder);
    rmSync(join(folder, name!));
    const other = acquireLock(nodeFileSystem, folder);
    expect(() => lock.refresh()).toThrow(LOCKED);
    expect(readdirSync(folder)).toHaveLength(1);
    other.release();
    lock.refresh();
    lock.release();
    expect(() => lock.refresh()).toThrow(LOCKED);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is shown to live by another thread of its process, which is told of it', () => {
    const lock = acquireLock(nodeFileSystem, folder);
    const path = join(folder, lock.place.name);
    utimesSync(path, 1, 1);
    heldLock(nodeFileSystem, structuredClone(lock.place)).refresh();
    expect(nodeFileSystem.stat(path).modifiedMs).toBeGreaterThan(Date.UTC(2020));
    lock.release();
  });

  it('is not taken by a list of files that does not even have our own', () => {
    const outdated: FileSystem = { ...nodeFileSystem, list: () => [] };
    expect(() => acquireLock(outdated, folder)).toThrow(LOCKED);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('needs a folder', () => {
    const missing = join(folder, 'missing');
    expect(() => acquireLock(nodeFileSystem, missing)).toThrow(
      expect.objectContaining({ code: 'ERR_STORAGE_IO' }),
    );
    expect(holderOf(nodeFileSystem, missing)).toBeUndefined();
  });

  it.each(['open', 'write', 'close', 'rename', 'stat', 'list'] as const)(
    'leaves nothing when the disk fails in %s, before or after the fact',
    (operation) => {
      for (const takesEffect of [false, true]) {
        const files = createFaultyDisk({ faults: [{ operation, code: 'ENOSPC', takesEffect }] });
        expect(() => acquireLock(files, folder)).toThrow(
          expect.objectContaining({ code: 'ERR_STORAGE_FULL' }),
        );
        expect(readdirSync(folder)).toEqual([]);
      }
    },
  );

  it('can be released later when the disk fails now', () => {
    const files = createFaultyDisk({ faults: [{ operation: 'unlink', code: 'EIO', until: 2 }] });
    const lock = acquireLock(files, folder);
    expect(() => lock.release()).toThrow(expect.objectContaining({ code: 'ERR_STORAGE_IO' }));
    lock.release();
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('stealLocks', () => {
  const elsewhere = { ...thisProcess(), bootId: 'elsewhere', sinceUs: 1 };
  /** A system in which time passes by itself; `during` is called with how often it was waited. */
  const systemWith = (
    during: (waits: number) => void,
    running: boolean | undefined = undefined,
  ): LockSystem => {
    let waits = 0;
    const real = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => real() + waits * 1000);
    return {
      self: thisProcess,
      isRunning: () => running,
      token: () => 'f'.repeat(16),
      pause: () => {},
      sleep: async () => during(++waits),
    };
  };
  afterEach(() => void vi.restoreAllMocks());

  it('takes what nobody writes to, also what comes from the future', async () => {
    forge(elsewhere, { ageMs: -1e9 });
    expect(() => acquireLock(nodeFileSystem, folder)).toThrow(LOCKED);
    const waits: number[] = [];
    await stealLocks(
      nodeFileSystem,
      folder,
      systemWith((n) => waits.push(n)),
    );
    expect(waits.length).toBeGreaterThan(20);
    expect(readdirSync(folder)).toEqual([]);
    acquireLock(nodeFileSystem, folder).release();
  });

  it('leaves what somebody writes to meanwhile', async () => {
    const path = join(folder, forge(elsewhere, { ageMs: -1e9 }));
    const write = (waits: number) => waits === 12 && writeFileSync(path, readFileSync(path));
    await expect(stealLocks(nodeFileSystem, folder, systemWith(write))).rejects.toThrow(LOCKED);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it('leaves at once what is held by a process that is seen to run', async () => {
    forge(elsewhere);
    const never = systemWith(() => {
      throw new Error('it waits');
    }, true);
    await expect(stealLocks(nodeFileSystem, folder, never)).rejects.toThrow(LOCKED);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it('takes a lock whose holder’s number another process has, where starts are not known', async () => {
    forge({ ...elsewhere, processStart: null });
    await stealLocks(
      nodeFileSystem,
      folder,
      systemWith(() => {}, true),
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('has nothing to do where nobody holds a lock', async () => {
    await stealLocks(nodeFileSystem, folder);
    await stealLocks(nodeFileSystem, join(folder, 'missing'));
  });
});

describe('a lock left behind', () => {
  it('by a process whose number another has now is removed', (context) => {
    context.skip(!isLinux, 'the start of a process is known on Linux only');
    const earlier = { ...thisProcess(), processStart: '1', sinceUs: 1 };
    forge(earlier);
    forge(earlier, { temporary: true });
    expect(holderOf(nodeFileSystem, folder)).toBeUndefined();
    expect(readdirSync(folder)).toHaveLength(2);
    const lock = acquireLock(nodeFileSystem, folder);
    expect(readdirSync(folder)).toHaveLength(1);
    lock.release();
  });

  it('is not removed while its process runs, however old it is', () => {
    forge({ ...thisProcess(), sinceUs: 1 }, { ageMs: 1e9 });
    expect(() => acquireLock(nodeFileSystem, folder)).toThrow(LOCKED);
    expect(holderOf(nodeFileSystem, folder)).toMatchObject({ pid: process.pid, sinceUs: 1 });
    expect(readdirSync(folder)).toHaveLength(1);
  });

  const self = thisProcess();
  const elsewhere: [string, object | string][] = [
    ['on another host', { ...self, host: 'other', bootId: 'other', sinceUs: 1 }],
    ['in another container', { ...self, bootId: self.bootId ?? 'x', pidNamespace: 'pid:[1]', sinceUs: 1 }],
    ['before the machine was started again', { ...self, bootId: 'earlier', sinceUs: 1 }],
    ['empty', ''],
    ['cut off', '{"pid":1,"proc'],
    ['with something else in it', 'null'],
    ['without some of its fields', { pid: process.pid }],
    ['with a number that would name a group of processes', { ...self, pid: -1, sinceUs: 1 }],
  ];

  it.each(elsewhere)('%s counts while it was written within a minute', (_, holder) => {
    const name = forge(holder, { ageMs: 20_000, pid: 77 });
    expect(() => acquireLock(nodeFileSystem, folder)).toThrow(LOCKED);
    expect(holderOf(nodeFileSystem, folder)).toBeDefined();
    expect(readdirSync(folder)).toEqual([name]);
  });

  it.each(elsewhere)('%s is removed after a minute', (_, holder) => {
    forge(holder, { ageMs: 61_000, pid: 77 });
    expect(holderOf(nodeFileSystem, folder)).toBeUndefined();
    acquireLock(nodeFileSystem, folder).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('that nobody can read is known by the number in its name', () => {
    forge('', { pid: 77 });
    expect(holderOf(nodeFileSystem, folder)).toMatchObject({ pid: 77, host: null });
  });

  it('under its temporary name locks nobody out', () => {
    const name = forge({ ...self, sinceUs: 1 }, { temporary: true });
    const lock = acquireLock(nodeFileSystem, folder);
    // It may be about to be put into its place, to find ours.
    expect(readdirSync(folder)).toContain(name);
    lock.release();
  });
});

describe('isRunning', () => {
  it('knows this process, and that its parent is another', () => {
    const self = thisProcess();
    expect(isRunning(self)).toBe(true);
    expect(isRunning({ ...self, host: 'renamed' })).toBe(self.bootId === null ? undefined : true);
    const parent = isRunning({ ...self, pid: process.ppid });
    expect(parent).toBe(self.processStart === null);
  });

  it('goes by host and number where the system does not say more', () => {
    const plain = { pid: process.pid, processStart: null, bootId: null, pidNamespace: null, host: 'here' };
    expect(isRunning(plain, plain)).toBe(true);
    expect(isRunning({ ...plain, pid: 2 ** 30 }, plain)).toBe(false);
    expect(isRunning({ ...plain, host: 'there' }, plain)).toBeUndefined();
    expect(isRunning({ ...plain, bootId: 'b' }, plain)).toBeUndefined();
  });

  it('reads the start of a process whatever its name is', () => {
    const rest = `S ${Array.from({ length: 18 }, (_, i) => i).join(' ')} 4711 0 0`;
    for (const name of ['node', 'a b', 'a) R 1 (b', ')', '(']) {
      expect(parseProcStat(`1 (${name}) ${rest}`)).toEqual({ state: 'S', start: '4711' });
    }
    expect(parseProcStat('')).toBeUndefined();
  });
});

/** A process that takes locks as it is told. */
class LockProcess {
  readonly child: ChildProcess = fork(new URL('../../support/disks/lock-process.mjs', import.meta.url));

  async answer<T>(): Promise<T> {
    const [message] = await once(this.child, 'message');
    return message as T;
  }

  tell<T>(message: object): Promise<T> {
    const answer = this.answer<T>();
    this.child.send(message);
    return answer;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

describe('processes', () => {
  let processes: LockProcess[] = [];

  async function start(count: number): Promise<LockProcess[]> {
    processes = Array.from({ length: count }, () => new LockProcess());
    await Promise.all(processes.map((one) => one.answer()));
    return processes;
  }

  afterEach(async () => {
    await Promise.all(processes.map((one) => one.end()));
  });

  it('that begin together have one winner at most', async () => {
    await start(4);
    for (let round = 0; round < 15; round++) {
      const after = join(folder, `..`, `go-${process.pid}-${round}`);
      const answers = processes.map((one) => one.tell<string | null>({ do: 'acquire', folder, after }));
      writeFileSync(after, '');
      const refusals = await Promise.all(answers);
      rmSync(after);
      const winners = refusals.filter((refusal) => refusal === null).length;
      expect(winners).toBeLessThanOrEqual(1);
      expect(refusals.filter((refusal) => refusal === 'ERR_LOCKED')).toHaveLength(4 - winners);
      expect(readdirSync(folder)).toHaveLength(winners);
      await Promise.all(processes.map((one) => one.tell({ do: 'release' })));
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it('that want it all the time never have it together', async () => {
    await start(3);
    const witness = join(folder, 'witness');
    type Contention = { held: number; refused: number; overlaps: number; otherErrors: number };
    const results = await Promise.all(
      processes.map((one) => one.tell<Contention>({ do: 'contend', folder, witness, times: 60 })),
    );
    for (const { held, refused, overlaps, otherErrors } of results) {
      expect({ overlaps, otherErrors }).toEqual({ overlaps: 0, otherErrors: 0 });
      expect(held + refused).toBe(60);
    }
    expect(results.some(({ held }) => held > 0)).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('that are killed hold nothing any more, even before anybody has asked for their status', async (context) => {
    context.skip(!isLinux, 'zombies are told apart on Linux only');
    const [holder] = await start(1);
    expect(await holder!.tell({ do: 'acquire', folder })).toBeNull();
    expect(() => acquireLock(nodeFileSystem, folder)).toThrow(LOCKED);
    const exited = once(holder!.child, 'exit');
    process.kill(holder!.child.pid!, 'SIGKILL');
    // Without letting the event loop turn, which would have Node fetch the status: a zombie until then.
    while (holderOf(nodeFileSystem, folder) !== undefined);
    expect(holder!.child.signalCode).toBeNull();
    const lock = acquireLock(nodeFileSystem, folder);
    expect(readdirSync(folder)).toHaveLength(1);
    lock.release();
    await exited;
  });
});

/** Some who want the lock, interleaved operation by operation. */
type Acquire = (files: FileSystem, folder: string, system: LockSystem) => Pick<Lock, 'release'>;

/** Who takes the next step; or who is killed. */
interface Turn {
  readonly actor: number;
  readonly kill: boolean;
}

const FOLDER = '/e';
const TIMES = 2;

/**
 * Lets actors take the lock, twice each, in the order of `turns` and then in turn.
 *
 * @returns how often the lock was held
 * @throws Error when two hold it
 */
function simulate(acquire: Acquire, actors: number, turns: readonly Turn[]): number {
  let nowMs = 1000;
  const disk = new PowerLossDisk(new Map([[FOLDER, null]]), { nowMs: () => nowMs++ });
  const alive = new Set<number>();
  const holding = new Map<number, number>();
  let held = 0;

  const tasks = Array.from({ length: actors }, (_, actor) => {
    const pid = actor + 1;
    alive.add(pid);
    return new InterleavedTask((perform) => {
      let tokens = 0;
      const identity = { pid, processStart: '1', bootId: 'b', pidNamespace: 'n', host: 'h' };
      const system: LockSystem = {
        self: () => identity,
        isRunning: (other) => perform(() => alive.has(other.pid)),
        token: () => (pid * 1000 + tokens++).toString(16).padStart(16, '0'),
        pause: () => {},
        sleep: async () => {},
      };
      const files = interleavedDisk(disk, perform);
      for (let time = 0; time < TIMES; time++) take(acquire, files, system, perform, pid);
    });
  });

  function take(
    acquire: Acquire,
    files: FileSystem,
    system: LockSystem,
    perform: Perform,
    pid: number,
  ): void {
    let lock: Pick<Lock, 'release'>;
    try {
      lock = acquire(files, FOLDER, system);
    } catch (error) {
      if (error instanceof StateError) return;
      throw error;
    }
    // Said again whenever the task is played back: what counts is what was said last.
    holding.set(pid, 1);
    perform(() => held++);
    lock.release();
    holding.delete(pid);
  }

  function step({ actor, kill }: Turn): void {
    const pid = actor + 1;
    const task = tasks[actor]!;
    if (!alive.has(pid)) return;
    if (kill) {
      alive.delete(pid);
      holding.delete(pid);
      return;
    }
    task.step();
    if (holding.size > 1) throw new Error(`held by ${[...holding.keys()].join(' and ')}`);
  }

  for (const turn of turns) step({ ...turn, actor: turn.actor % actors });
  const goesOn = (actor: number) => alive.has(actor + 1) && !tasks[actor]!.isDone;
  for (let actor = 0; actor < actors; ) {
    if (goesOn(actor)) step({ actor, kill: false });
    else actor++;
  }
  // Whoever comes last, alone, removes what the dead have left; a minute later, since some of it may be empty.
  nowMs += 61_000;
  const last: LockSystem = {
    self: () => ({ pid: 99, processStart: '1', bootId: 'b', pidNamespace: 'n', host: 'h' }),
    isRunning: () => false,
    token: () => 'f'.repeat(16),
    pause: () => {},
    sleep: async () => {},
  };
  acquire(disk, FOLDER, last).release();
  if (disk.list(FOLDER).length > 0) throw new Error(`left over: ${disk.list(FOLDER).join(', ')}`);
  return held;
}

const turns = (kills: boolean) =>
  fc.array(
    fc.record({
      actor: fc.nat(2),
      kill: kills ? fc.integer({ min: 0, max: 40 }).map((n) => n === 0) : fc.constant(false),
    }),
    { maxLength: 150, size: 'max' },
  );

/** Looks at the others before it puts its own file there. */
function acquireCarelessly(files: FileSystem, folder: string, system: LockSystem): Pick<Lock, 'release'> {
  if (holderOf(files, folder, system) !== undefined) throw new StateError('ERR_LOCKED', 'held');
  const path = join(folder, lockName(system.self().pid, system.token()));
  const fd = files.open(path, 'wx');
  files.write(fd, [Buffer.from(JSON.stringify({ ...system.self(), sinceUs: 1 }))], 0);
  files.close(fd);
  return { release: () => files.unlink(path) };
}

/** Removes a stale lock by a name that all share: what it removes may be another's by then. */
function acquireByOneName(files: FileSystem, folder: string, system: LockSystem): Pick<Lock, 'release'> {
  const path = join(folder, 'writer.lock');
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const fd = files.open(path, 'wx');
      files.write(fd, [Buffer.from(String(system.self().pid))], 0);
      files.close(fd);
      return { release: () => files.unlink(path) };
    } catch {
      const pid = Number(Buffer.from(files.readFile(path, 1e9)).toString());
      if (system.isRunning({ ...system.self(), pid })) throw new StateError('ERR_LOCKED', 'held');
      files.unlink(path);
    }
  }
  throw new StateError('ERR_LOCKED', 'held');
}

describe('any order of operations', () => {
  it.each([2, 3])('of %i who want the lock has one holder at most', (actors) => {
    let held = 0;
    fc.assert(
      fc.property(turns(false), (order) => {
        held += simulate(acquireLock, actors, order);
      }),
      { numRuns: 200 },
    );
    expect(held).toBeGreaterThan(200);
  });

  it.each([2, 3])('of %i who want the lock and may be killed has one holder at most', (actors) => {
    fc.assert(
      fc.property(turns(true), (order) => {
        simulate(acquireLock, actors, order);
      }),
      { numRuns: 200 },
    );
  });

  it('gives it to each in turn when nobody interferes', () => {
    expect(simulate(acquireLock, 3, [])).toBe(3 * TIMES);
  });

  it.each<[string, Acquire]>([
    ['looks before it puts its own file there', acquireCarelessly],
    ['removes a stale lock by a name that others use too', acquireByOneName],
  ])('shows two holders where a lock %s', (_, acquire) => {
    const run = fc.check(
      fc.property(turns(true), (order) => {
        try {
          simulate(acquire, 3, order);
        } catch (error) {
          // What is left over, or missing, is another of its faults.
          if (error instanceof Error && error.message.startsWith('held by')) throw error;
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
    expect(run.failed).toBe(true);
    expect(String(run.errorInstance)).toContain('held by');
  });
});
