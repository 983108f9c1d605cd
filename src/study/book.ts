/** The study's book: its plan, and what has happened since: who contributed, who looked. In a folder, or in memory. */
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { NotFoundError, StudyError } from '../errors.js';
import type { Modes } from '../make-folder.js';
import { type ProcessIdentity, thisProcess } from '../process-identity.js';
import type { Json } from '../schema/event.js';
import { clearUp, ifThere } from '../storage/disk/errors.js';
import { ensureFolder, type FileSystem, nodeFileSystem, writeFully } from '../storage/disk/file-system.js';
import { temporaryName } from '../storage/disk/paths.js';
import { JournalReader, type JournalRecord, JournalWriter } from '../storage/journal.js';
import { guarded, systemCodeOf } from '../system-errors.js';
import { VERSION } from '../version.js';
import { type Difference, differencesBetween, hashOf } from './canonical.js';
import { PLAN_VERSION, type StudyPlan } from './plan.js';

/** An experiment that captures an arm in one process. */
export interface Contribution {
  readonly arm: string;
  readonly experiment: string;
  /** The same for all of a process, and no other's. */
  readonly process: string;
  readonly pid: number;
  readonly host: string | null;
  /** Whether it was started: what is only announced may have nothing. */
  readonly started: boolean;
}

/** A verdict that somebody has seen. Times in µs since the Unix epoch. */
export interface Look {
  readonly at: number;
  readonly pid: number;
  readonly host: string | null;
  readonly events: number;
  readonly units: number;
  readonly decision: string;
  /** Of the planned test, its outcomes, condensed: equal for equal figures. Null of a look that was none. */
  readonly figures: string | null;
  /** The primary outcome as it stood; null where nothing was compared, and of looks that were written before this was. */
  readonly primary: LookedOutcome | null;
  /** How the look was other than planned. */
  readonly deviations: readonly string[];
}

/** Of the treatment that the decision is about, against the baseline. */
export interface LookedOutcome {
  readonly name: string;
  readonly treatment: string;
  readonly unit: string;
  readonly difference: number | null;
  readonly confidenceInterval: readonly [number, number] | null;
  /** Valid at every look where the plan is sequential. */
  readonly pValue: number | null;
}

export interface StudyBook {
  /** Where it is kept; null in memory. */
  readonly folder: string | null;
  /** When the plan was written down, µs since the Unix epoch. */
  readonly plannedAt: number;
  readonly plan: StudyPlan;
  /** SHA-256 of the plan's canonical JSON. */
  readonly hash: string;
  contributions(): Contribution[];
  looks(): Look[];
  /** To be told before the experiment takes its first event, and again once it is there. */
  noteContribution(arm: string, experiment: string, started: boolean): void;
  noteLook(look: Omit<Look, 'pid' | 'host'>): void;
}

/** @throws StudyError ERR_PLAN_CHANGED naming every difference */
export function requireSamePlan(planned: StudyPlan, given: StudyPlan): void {
  const differences = differencesBetween(planned as unknown as Json, given as unknown as Json);
  if (differences.length === 0) return;
  const told = differences.map(
    ({ path, planned, given }) => `${path} was ${shown(planned)}, is ${shown(given)}`,
  );
  throw new StudyError(
    'ERR_PLAN_CHANGED',
    `the study ${JSON.stringify(planned.study)} was planned otherwise: ${told.join('; ')}. A plan cannot be changed once ` +
      'it is written down: begin another study, under another name',
    { study: planned.study, differences: differences as readonly Difference[] },
  );
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

class Entries {
  readonly #contributions = new Map<string, Contribution>();
  readonly #looks: Look[] = [];

  add(record: JournalRecord): void {
    const { kind, arm, experiment, process, pid, host, at } = record;
    if (kind === 'contribution' && typeof arm === 'string' && typeof experiment === 'string') {
      const known = this.#contributions.get(experiment);
      this.#contributions.set(experiment, {
        arm,
        experiment,
        process: String(process),
        pid: Number(pid),
        host: typeof host === 'string' ? host : null,
        started: known?.started === true || record.started === true,
      });
    }
    if (kind === 'look' && typeof at === 'number')
      this.#looks.push({ primary: null, ...record } as unknown as Look);
  }

  contributions(): Contribution[] {
    return [...this.#contributions.values()];
  }

  looks(): Look[] {
    return this.#looks.toSorted((a, b) => a.at - b.at);
  }
}

function contributionRecord(arm: string, experiment: string, started: boolean): JournalRecord {
  return { kind: 'contribution', arm, experiment, started, ...signature() };
}

function lookRecord(look: Omit<Look, 'pid' | 'host'>): JournalRecord {
  const { pid, host } = signature();
  return { kind: 'look', ...look, deviations: [...look.deviations], pid, host } as unknown as JournalRecord;
}

let known: { identity: ProcessIdentity; key: string } | undefined;

/** Who writes. A process that was forked is another. */
function signature(): { process: string; pid: number; host: string | null } {
  if (known?.identity.pid !== process.pid) {
    const identity = thisProcess();
    const key = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16);
    known = { identity, key };
  }
  const { identity, key } = known;
  return { process: key, pid: identity.pid, host: identity.host };
}

export class MemoryBook implements StudyBook {
  readonly folder = null;
  readonly plan: StudyPlan;
  readonly hash: string;
  readonly plannedAt: number;
  readonly #entries = new Entries();

  constructor(plan: StudyPlan, nowUs: number) {
    this.plan = plan;
    this.hash = hashOf(plan as unknown as Json);
    this.plannedAt = nowUs;
  }

  contributions(): Contribution[] {
    return this.#entries.contributions();
  }

  looks(): Look[] {
    return this.#entries.looks();
  }

  noteContribution(arm: string, experiment: string, started: boolean): void {
    this.#entries.add(contributionRecord(arm, experiment, started));
  }

  noteLook(look: Omit<Look, 'pid' | 'host'>): void {
    this.#entries.add(lookRecord(look));
  }
}

const PLAN_FILE = 'plan.json';
const FORMAT = 'crucible-study';
const PLAN_BYTES_MAX = 4 << 20;
/** No experiment can have such a name: theirs have no dot. */
const PREFIX = 'study.';
const SLUG_MAX = 40;

/** What the study's folder is called: readable, and of every name another. */
export function studyFolderName(study: string): string {
  const slug = study
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, SLUG_MAX)
    .replace(/-+$/, '');
  const hash = createHash('sha256').update(study, 'utf8').digest('hex').slice(0, 12);
  return `${PREFIX}${slug === '' ? hash : `${slug}-${hash}`}`;
}

interface PlanDocument {
  readonly format: string;
  readonly plannedAtUs: number;
  readonly libraryVersion: string;
  readonly sha256: string;
  readonly plan: StudyPlan;
}

export class FolderBook implements StudyBook {
  readonly folder: string;
  readonly plan: StudyPlan;
  readonly hash: string;
  readonly plannedAt: number;
  readonly #entries = new Entries();
  readonly #reader: JournalReader;
  readonly #writer: JournalWriter;

  private constructor(folder: string, { plan, sha256, plannedAtUs }: PlanDocument, modes: Modes) {
    this.folder = folder;
    this.plan = plan;
    this.hash = sha256;
    this.plannedAt = plannedAtUs;
    this.#reader = new JournalReader(nodeFileSystem, folder);
    this.#writer = new JournalWriter(nodeFileSystem, folder, {
      folder: modes.folderMode,
      file: modes.fileMode,
    });
  }

  /**
   * The study as it is written down in the folder, or else it is written down now: of several processes that begin it
   * at once, one does.
   * @throws StudyError ERR_PLAN_CHANGED where another plan is there, ERR_PLAN_CORRUPT; StorageError
   */
  static begin(dir: string, plan: StudyPlan, nowUs: number, modes: Modes): FolderBook {
    const folder = join(dir, studyFolderName(plan.study));
    const sha256 = hashOf(plan as unknown as Json);
    const document = { format: FORMAT, plannedAtUs: nowUs, libraryVersion: VERSION, sha256, plan };
    const written = writePlan(nodeFileSystem, folder, document, modes) ? document : readPlan(folder);
    requireSamePlan(written.plan, plan);
    return new FolderBook(folder, written, modes);
  }

  /** @throws NotFoundError where there is no such study; StudyError ERR_PLAN_CORRUPT; StorageError */
  static open(folder: string, modes: Modes): FolderBook {
    return new FolderBook(folder, readPlan(folder), modes);
  }

  contributions(): Contribution[] {
    this.#catchUp();
    return this.#entries.contributions();
  }

  looks(): Look[] {
    this.#catchUp();
    return this.#entries.looks();
  }

  noteContribution(arm: string, experiment: string, started: boolean): void {
    this.#writer.append(contributionRecord(arm, experiment, started));
    // Nobody may find events of an experiment that no book knows.
    if (!started) this.#writer.sync();
  }

  noteLook(look: Omit<Look, 'pid' | 'host'>): void {
    this.#writer.append(lookRecord(look));
    this.#writer.sync();
  }

  #catchUp(): void {
    for (const record of this.#reader.read()) this.#entries.add(record);
  }
}

/** Folders of studies under `dir`, in the order of their names. @throws StorageError */
export function studyFolders(dir: string): string[] {
  const names = guarded('look for studies in', dir, () => ifThere(() => nodeFileSystem.list(dir)) ?? []);
  return names
    .filter((name) => name.startsWith(PREFIX))
    .sort()
    .map((name) => join(dir, name))
    .filter((folder) => ifThere(() => nodeFileSystem.stat(join(folder, PLAN_FILE)).isFile) === true);
}

/** @returns false where there is one already */
function writePlan(files: FileSystem, folder: string, document: PlanDocument, modes: Modes): boolean {
  const path = join(folder, PLAN_FILE);
  return guarded('write a plan at', path, () => {
    if (ifThere(() => files.stat(path)) !== undefined) return false;
    ensureFolder(files, folder, modes.folderMode);
    const temporary = join(folder, temporaryName(PLAN_FILE));
    const fd = files.open(temporary, 'wx', modes.fileMode);
    try {
      writeFully(files, fd, [Buffer.from(`${JSON.stringify(document, null, 2)}\n`)], 0);
      files.sync(fd);
      files.link(temporary, path);
    } catch (error) {
      if (systemCodeOf(error) === 'EEXIST') return false;
      throw error;
    } finally {
      clearUp(
        () => files.close(fd),
        () => files.unlink(temporary),
      );
    }
    files.syncFolder(folder);
    return true;
  });
}

function readPlan(folder: string): PlanDocument {
  const path = join(folder, PLAN_FILE);
  const bytes = guarded('read a plan at', path, () =>
    ifThere(() => nodeFileSystem.readFile(path, PLAN_BYTES_MAX)),
  );
  if (bytes === undefined) throw new NotFoundError('study', basename(folder));
  const corrupt = (reason: string) =>
    new StudyError('ERR_PLAN_CORRUPT', `the plan at ${path} ${reason}`, { path, reason });
  let document: PlanDocument;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8')) as PlanDocument;
  } catch {
    throw corrupt('is not JSON');
  }
  if (document?.format !== FORMAT) throw corrupt('is not one of this library');
  if (document.plan?.version !== PLAN_VERSION)
    throw corrupt('was written by another version of this library');
  if (hashOf(document.plan as unknown as Json) !== document.sha256) {
    throw corrupt('does not match its hash: somebody has changed it since it was written down');
  }
  return document;
}
