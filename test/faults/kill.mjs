// @ts-check
/**
 * Kills processes that capture, and looks at what is left.
 *
 * An experiment lives for several generations: each process recovers what the one before has left, captures on, and
 * is killed. After each kill the folder is read without being changed; at the end of the last generation it is
 * recovered twice, and the second time must change no byte.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible } from '../../dist/src/index.js';
import { seededRandom } from '../support/disks/random.mjs';
import { digests, inspect } from './rows.mjs';

/**
 * Rows that were captured so long before a kill are on disk: the experiment's interval; what a machine is allowed that
 * does several things at once; and the longest time for which the process itself saw that it stood still.
 */
const SLACK_MS = 200;
/** The same for the thread that writes to begin: until then nothing is written. */
const SPOOLER_START_MS = 3000;

/**
 * @typedef {object} KillOptions
 * @property {number} rounds kills
 * @property {number} seed
 * @property {number} [parallel] experiments at a time; default 2
 * @property {number} [captureMsMax] default 400
 * @property {number} [slackMs] what a machine is allowed that does several things at once; default 200
 * @property {boolean} [lies] the process says that it has flushed although it has not
 * @property {number} [promptEvery] of so many captured rows one has a text of 50 kB to 1.5 MB; default none
 * @property {object} [options] of the experiment, besides those chosen at random
 * @property {(kills: number) => void} [onProgress]
 *
 * @typedef {object} KillReport
 * @property {number} kills
 * @property {number} killedStarting of these, before the process had begun to capture
 * @property {number} rows
 * @property {number} prompts rows with one, at the end of their experiments
 * @property {number} acknowledged
 * @property {number} lost captured for certain, not acknowledged, not on disk
 * @property {number} oldestLostMs how long before a kill the oldest row lost had been captured, at most, or the
 *   thread that writes had begun
 * @property {string[]} problems
 */

/** @param {KillOptions} options @returns {Promise<KillReport>} */
export async function killRounds(options) {
  const { rounds, seed, parallel = 2 } = options;
  /** @type {KillReport} */
  const report = {
    kills: 0,
    killedStarting: 0,
    rows: 0,
    prompts: 0,
    acknowledged: 0,
    lost: 0,
    oldestLostMs: 0,
    problems: [],
  };
  let next = 0;
  const lane = async () => {
    while (report.kills < rounds && report.problems.length === 0) {
      await liveAndDie(options, seed + 1000 * next++, report);
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return report;
}

/** One experiment. @param {KillOptions} options @param {number} seed @param {KillReport} report */
async function liveAndDie(
  { rounds, captureMsMax = 400, slackMs = SLACK_MS, lies = false, promptEvery = 0, options, onProgress },
  seed,
  report,
) {
  const random = seededRandom(seed);
  /** @template T @param {readonly T[]} items @returns {T} */
  const pick = (items) => /** @type {T} */ (items[Math.floor(random() * items.length)]);
  const dir = mkdtempSync(join(tmpdir(), 'crucible-kill-'));
  const producers = 1 + Math.floor(random() * 4);
  const chosen = {
    flushIntervalMs: pick([5, 20, 50, 200]),
    fsync: pick(['interval', 'interval', 'always', 'never']),
    segmentBytes: pick([2 ** 16, 2 ** 18, 2 ** 26]),
    // Rows are never refused here, so that each producer's numbers are without a gap.
    blockMs: 60_000,
    capacity: pick([8192, 65_536]),
    ...options,
  };
  const rowsPerMs = promptEvery > 0 ? 10 : pick([5, 20, 20, 100]);
  const life = { dir, producers, rowsPerMs, promptEvery, options: chosen, lies };
  const generations = 2 + Math.floor(random() * 4);
  const problem = (/** @type {string} */ what) => {
    report.problems.push(`seed ${seed}, ${JSON.stringify(life)}: ${what}`);
  };
  /** @type {number[]} */
  let before = [];
  for (let generation = 0; generation < generations && report.kills < rounds; generation++) {
    const journal = join(dir, `journal-${generation}`);
    const child = start({ ...life, journal, seed: seed + generation });
    const ended = once(child, 'exit');
    const isEarly = random() < 0.15;
    // While it starts, recovers what is there, or has just begun.
    if (isEarly) await sleep(random() * 400);
    else {
      await Promise.race([once(child.stdout, 'data'), ended]);
      await sleep(random() * captureMsMax);
    }
    const killedUs = Number(process.hrtime.bigint() / 1000n);
    child.kill('SIGKILL');
    const [code] = await ended;
    if (code !== null) return problem(`generation ${generation} ended by itself, with ${code}`);
    report.kills++;
    onProgress?.(report.kills);

    const notes = readJournal(journal);
    if (notes.length <= 1) report.killedStarting++;
    for (const { word, text } of notes) if (word === 'problem') problem(`generation ${generation}: ${text}`);
    const found = await read(dir);
    if (found === null) {
      // Killed before there was an experiment.
      if (notes.length > 0 || before.length > 0) problem(`generation ${generation}: the experiment is gone`);
      continue;
    }
    for (const what of found.problems) problem(`generation ${generation}: ${what}`);
    const { counts } = found;
    const at = (/** @type {number[]} */ rows, /** @type {number} */ producer) => rows[producer] ?? 0;
    const recovered = notes.find(({ word }) => word === 'recovered');
    const acknowledged = notes.findLast(({ word }) => word === 'flushed')?.rows ?? [];
    const captured = notes.filter(({ word }) => word === 'captured');
    const spoolingUs =
      notes.find(({ word }) => word === 'spooling')?.us ??
      Math.min(killedUs, (captured[0]?.us ?? killedUs) + SPOOLER_START_MS * 1000);
    // The longest time that the machine let this process stand still.
    const stallMs = Math.max(0, ...captured.map(({ us }, i) => (us - (captured[i - 1]?.us ?? us)) / 1000));
    const allowedMs = chosen.flushIntervalMs + slackMs + stallMs;
    for (let producer = 0; producer < producers; producer++) {
      const count = at(counts, producer);
      if (recovered !== undefined && at(recovered.rows, producer) !== at(before, producer)) {
        problem(`generation ${generation} found other rows than were there`);
      }
      if (count < at(before, producer)) problem(`generation ${generation} lost rows of an earlier one`);
      if (count < at(acknowledged, producer)) {
        problem(
          `generation ${generation}: producer ${producer} has ${count} rows, of ${at(acknowledged, producer)} acknowledged`,
        );
      }
      const firstLost = captured.find(({ rows }) => at(rows, producer) > count);
      if (firstLost === undefined) continue;
      report.lost += at(/** @type {Note} */ (captured.at(-1)).rows, producer) - count;
      const lostMs = (killedUs - Math.max(firstLost.us, spoolingUs)) / 1000;
      report.oldestLostMs = Math.max(report.oldestLostMs, lostMs);
      if (lostMs > allowedMs) {
        problem(
          `generation ${generation}: producer ${producer} lost rows captured ${lostMs} ms before, allowed ${allowedMs}`,
        );
      }
    }
    report.acknowledged += sum(acknowledged) - (acknowledged.length > 0 ? sum(before) : 0);
    before = counts;
  }
  report.rows += sum(before);
  if (before.length > 0) {
    const folder = join(dir, 'killed');
    const recover = async () => {
      const child = start({ ...life, journal: join(dir, 'journal'), seed, recoverOnly: true });
      const [code] = await once(child, 'exit');
      if (code !== 0) problem(`recovering ended with ${code}`);
      return JSON.stringify(digests(folder));
    };
    const first = await recover();
    if ((await recover()) !== first) problem('a second recovery has changed the folder');
    for (const { word, text } of readJournal(join(dir, 'journal'))) if (word === 'problem') problem(text);
    const found = await read(dir);
    if (String(found?.counts) !== String(before)) problem('recovering has changed what is there');
    report.prompts += found?.prompts ?? 0;
  }
  if (report.problems.length === 0) rmSync(dir, { recursive: true });
}

/** Starts a process that captures until it is killed. @param {object} task */
export function start(task) {
  const script = new URL('./kill-child.mjs', import.meta.url);
  return spawn(process.execPath, [script.pathname, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/**
 * What is in the folder, which is left as it is; null when there is no experiment.
 * @param {string} dir
 * @param {{ gaps?: boolean }} [options] gaps: whether rows may be missing; default false
 */
export async function read(dir, options) {
  const crucible = new Crucible({ dir });
  try {
    const { experiments } = await crucible.recover(dir, { readOnly: true });
    const [report] = experiments;
    if (report === undefined) return null;
    if (report.access === 'none')
      return { rows: 0, prompts: 0, counts: [], problems: [JSON.stringify(report.error)] };
    const before = JSON.stringify(digests(report.folder));
    const inspector = await inspect(crucible.experiment(report.id));
    const problems = inspector.conclude(options);
    if (report.damage.length > 0) problems.push(`damage: ${JSON.stringify(report.damage)}`);
    if (report.rows !== inspector.rows) problems.push(`${report.rows} rows reported, ${inspector.rows} read`);
    if (JSON.stringify(digests(report.folder)) !== before) problems.push('reading has changed the folder');
    const { rows, prompts, counts } = inspector;
    return { rows, prompts, counts, problems };
  } finally {
    await crucible.close();
  }
}

/** @typedef {{ word: string, us: number, rows: number[], text: string }} Note */

/** @param {string} path @returns {Note[]} */
function readJournal(path) {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // Killed before it had begun one.
  }
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [word = '', us, ...rows] = line.split(' ');
      return { word, us: Number(us), rows: rows.map(Number), text: line };
    });
}

/** @param {readonly number[]} numbers */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
