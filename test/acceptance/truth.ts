/**
 * What is put in and what has to come out, worked out apart from the library, from docs/exports.md and docs/formats.md.
 * Row `i` of an experiment follows from `i` alone, so that a million rows need not be kept anywhere.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** 2024-03-01T12:00:00Z in µs. */
const START_US = 1_709_294_400_000_000;
const STEP_US = 1000;
const MAX = Number.MAX_SAFE_INTEGER;

export interface Arm {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly tags: string[];
  readonly rows: number;
}

/** Two experiments. @param key - part of their ids */
export function armsOf(key: string, rows: number): Arm[] {
  return [
    {
      id: `a-${key}`,
      name: 'acceptance',
      condition: 'control',
      tags: ['a', 'ünïcode, "quoted"'],
      rows,
    },
    { id: `b-${key}`, name: 'второй', condition: '処理', tags: [], rows: Math.floor(rows / 2) },
  ];
}

/** Declared columns of the experiments. */
export const DECLARED = { score: 'f64', rank: 'i32', size: 'u32', good: 'bool', kind: 'dict' } as const;

/** All that a file has to say of one row. */
export interface TrueRow {
  readonly arm: Arm;
  /** Its place in capture order. */
  readonly index: number;
  readonly event: string;
  readonly timeUs: number;
  readonly latencyMs: number | null;
  readonly costUsd: number | null;
  readonly success: boolean | null;
  readonly tokens: { prompt: number; completion: number; total: number } | null;
  /** The counts that were told, where that is not all of them. */
  readonly told?: { prompt: number | null; completion: number | null };
  readonly model: string | null;
  readonly provider: string | null;
  readonly ids: {
    readonly userId?: string;
    readonly sessionId?: string;
    readonly sampleId?: string;
    readonly cohort?: string;
    readonly correlationId?: string;
    readonly traceId?: string;
    readonly spanId?: string;
  };
  readonly metadata: JsonObject;
  readonly measurements: JsonObject;
  /** Of the event's category, by the names that files have for them. */
  readonly fields: JsonObject;
}

/** What of an experiment is used to fill it. */
export interface Sink {
  recorder(
    event: string,
    bound?: Record<string, unknown>,
  ): {
    recordAt(
      timeUs: number,
      latencyMs: number,
      costUsd?: number,
      prompt?: number,
      completion?: number,
      success?: boolean | null,
    ): void;
  };
  captureAt(
    timeUs: number,
    event: string,
    measurements: Record<string, unknown>,
    metadata: Record<string, unknown>,
  ): void;
}

const RECORDED = 'req_llm.request.stop';
const BOUND = { model: 'house-7b', provider: 'local', region: 'eu', kind: 'bound' };
const MODELS = ['house-7b', 'модель', 'a "b", c'];
const TEXTS = [
  'plain',
  '',
  'comma, "quote" and\nline\r\nend',
  'é漢字😀 \u0001\t\\',
  '007',
  'NULL',
  '=1+1',
  ' blanks ',
  "it's",
  'true',
];

/** Rows come in groups of four whose times descend in pairs, and two of a pair have the same time. */
function timeUs(index: number): number {
  return START_US + STEP_US * ((index ^ 3) >> 1);
}

/** Some of it is absent in some of the rows; which, and what it is, follows from the index. */
export function trueRow(arm: Arm, index: number): TrueRow {
  const j = index >> 2;
  const base = { arm, index, timeUs: timeUs(index), ids: {}, fields: {}, measurements: {}, metadata: {} };
  const outcome = [true, false, null][j % 3]!;
  switch (index & 3) {
    case 0: {
      const [prompt, completion] = [j % 4 === 3 ? null : j % 5000, j % 5 === 4 ? null : j % 300];
      return {
        ...base,
        event: RECORDED,
        latencyMs: j % 10 === 9 ? null : j / 8 + 0.1,
        costUsd: j % 3 === 1 ? null : j * 1e-6,
        success: outcome,
        tokens: tokensOf(prompt, completion),
        told: { prompt, completion },
        model: BOUND.model,
        provider: BOUND.provider,
        metadata: { ...BOUND },
      };
    }
    case 1:
      return {
        ...base,
        event: 'plain',
        latencyMs: [0, 1e-7, 123456.789, 5e-324][j % 4]!,
        costUsd: null,
        success: null,
        tokens: null,
        model: null,
        provider: null,
      };
    case 2:
      return { ...base, ...capturedRow(j, outcome), event: 'my.event' };
    default:
      return { ...base, ...trainingRow(j), event: 'crucible_train.epoch.stop' };
  }
}

function tokensOf(prompt: number | null, completion: number | null): TrueRow['tokens'] {
  if (prompt === null && completion === null) return null;
  const [p, c] = [prompt ?? 0, completion ?? 0];
  return { prompt: p, completion: c, total: p + c };
}

function capturedRow(j: number, success: boolean | null) {
  const model = MODELS[j % MODELS.length]!;
  const hasTokens = j % 2 === 0;
  const cost = j % 4 === 3 ? null : (j % 1000) / 1024;
  const ids = {
    userId: `user-${j % 7}`,
    ...(j % 3 !== 0 && { sessionId: `s-${j % 11}` }),
    sampleId: `q${j}`,
    ...(j % 5 === 0 && { cohort: 'beta' }),
    ...(j % 2 === 1 && { correlationId: `c${j}` }),
    traceId: j.toString(16).padStart(32, '0'),
    ...(j % 4 === 0 && { spanId: j.toString(16).padStart(16, '0') }),
  };
  const metadata: JsonObject = {
    model,
    ...ids,
    ...(hasTokens && { tokens: { prompt: j % 100, completion: j % 10 } }),
    ...(cost !== null && { cost }),
    text: `${TEXTS[j % TEXTS.length]}${j % 20 < 10 ? '' : ` ${j}`}`,
    whole: [MAX - j, -MAX + j, 2 ** 53 - 1, 2 ** 32 + j, -(2 ** 31) - j, 0][j % 6]!,
    count: j - 50,
    real: (j - 1000) / 7,
    zero: [-0, 0, 1.5, -1.5][j % 4]!,
    large: [1.7976931348623157e308, -1e300, 5e-324, 0.1][j % 4]!,
    flag: [true, false, null][j % 3]!,
    nothing: null,
    nested: { a: j, deep: { b: `x${j}`, list: [j, 'é', null, { c: true }] } },
    list: [j, 'ü', null, true],
    mixed: [j, `t${j}`, true, [1, 'a']][j % 4]!,
    empty: {},
    none: [],
    'ключ 🔑': j,
    ...(j % 6 !== 5 && { score: j / 3 }),
    ...(j % 6 !== 4 && { rank: (j % 2 === 0 ? -1 : 1) * (2 ** 31 - 1 - (j % 1000)) }),
    ...(j % 6 !== 3 && { size: 2 ** 32 - 1 - j }),
    ...(j % 6 !== 2 && { good: j % 4 < 2 }),
    ...(j % 6 !== 1 && { kind: `kind ${j % 5}` }),
  };
  const measurements: JsonObject = {
    latencyMs: j / 16,
    ...(success !== null && { status: success ? 'ok' : 'error' }),
    'extra value': -j / 4,
    bytes: j * 1024,
  };
  return {
    latencyMs: j / 16,
    costUsd: cost,
    success,
    tokens: hasTokens ? tokensOf(j % 100, j % 10) : null,
    model,
    provider: null,
    ids,
    metadata,
    measurements,
  };
}

function trainingRow(j: number) {
  const accuracy = j % 2 === 0 ? (j % 100) / 100 : null;
  const checkpoint = j % 5 === 0 ? `/checkpoints/${j}` : null;
  const [loss, rate] = [1 / (j + 1), 0.1 / (1 + (j % 10))];
  return {
    latencyMs: j % 1000,
    costUsd: null,
    success: null,
    tokens: null,
    model: null,
    provider: null,
    measurements: { duration: (j % 1000) * 1e6, loss, ...(accuracy !== null && { accuracy }) },
    metadata: {
      epoch: j,
      learning_rate: rate,
      ...(checkpoint !== null && { checkpoint_path: checkpoint }),
    },
    fields: {
      epoch: j,
      batch: null,
      learning_rate: rate,
      loss,
      accuracy,
      gradient_norm: null,
      checkpoint_path: checkpoint,
    },
  };
}

/** Of a recorder's tokens without a cost it is said why: no table has its model. */
function costSourceOf({ costUsd, tokens, event }: TrueRow): string | null {
  if (costUsd !== null) return 'event';
  return event === RECORDED && tokens !== null ? 'unpriced:model' : null;
}

/** Tells an experiment all rows of an arm, in capture order. */
export function fill(arm: Arm, experiment: Sink): void {
  const recorder = experiment.recorder(RECORDED, BOUND);
  const plain = experiment.recorder('plain');
  for (let index = 0; index < arm.rows; index++) {
    const row = trueRow(arm, index);
    const { timeUs: at, latencyMs, costUsd, success, event, measurements, metadata } = row;
    const j = index >> 2;
    if ((index & 3) === 0) {
      const [prompt, completion] = [j % 4 === 3 ? -1 : j % 5000, j % 5 === 4 ? -1 : j % 300];
      recorder.recordAt(at, latencyMs ?? Number.NaN, costUsd ?? Number.NaN, prompt, completion, success);
    } else if ((index & 3) === 1) {
      plain.recordAt(at, latencyMs!);
    } else {
      experiment.captureAt(at, event, measurements, metadata);
    }
  }
}

/** The rows in the order of a file: ascending by time; ties in the order of the arms, and within one of capture. */
export class FileOrder {
  readonly rows: number;
  readonly #arms: readonly Arm[];
  /** Each row as its index times two, plus the arm's number. */
  readonly #codes: Float64Array;

  constructor(arms: readonly Arm[]) {
    this.#arms = arms;
    this.rows = arms.reduce((sum, { rows }) => sum + rows, 0);
    this.#codes = new Float64Array(this.rows);
    let at = 0;
    const groups = Math.ceil(Math.max(0, ...arms.map(({ rows }) => rows)) / 4);
    for (let group = 0; group < groups; group++) {
      for (const pair of [2, 0]) {
        for (const [arm, { rows }] of arms.entries()) {
          for (const index of [4 * group + pair, 4 * group + pair + 1]) {
            if (index < rows) this.#codes[at++] = 2 * index + arm;
          }
        }
      }
    }
  }

  at(place: number): TrueRow {
    const code = this.#codes[place]!;
    return trueRow(this.#arms[code % 2]!, Math.floor(code / 2));
  }
}

/** Kinds of columns, as typed formats have them. */
export type Kind = 'text' | 'float' | 'integer' | 'timestamp' | 'bool' | 'json';

export interface TrueColumn {
  readonly name: string;
  readonly kind: Kind;
}

/** A row's cells by the names of flattened columns; those that it does not have are absent. */
export function cellsOf(row: TrueRow): Map<string, Json> {
  const { arm, ids, tokens } = row;
  const cells = new Map<string, Json>([
    ['cohort', ids.cohort ?? null],
    ['condition', arm.condition],
    ['cost_usd', row.costUsd],
    ['event_name', row.event],
    ['experiment_id', arm.id],
    ['experiment_name', arm.name],
    ['latency_ms', row.latencyMs],
    ['model', row.model],
    ['provider', row.provider],
    ['sample_id', ids.sampleId ?? null],
    ['session_id', ids.sessionId ?? null],
    ['success', row.success],
    ['timestamp', row.timeUs],
    ['correlation_id', ids.correlationId ?? null],
    ['cost_source', costSourceOf(row)],
    ['malformed', false],
    ['malformed_keys', []],
    ['span_id', ids.spanId ?? null],
    ['tags', arm.tags],
    ['tokens_completion', tokens?.completion ?? null],
    ['tokens_prompt', tokens?.prompt ?? null],
    ['tokens_total', tokens?.total ?? null],
    ['trace_id', ids.traceId ?? null],
    ['user_id', ids.userId ?? null],
  ]);
  for (const [key, value] of Object.entries(row.fields)) cells.set(key, value);
  flatten(row.measurements, 'measurement', cells);
  flatten(row.metadata, 'metadata', cells);
  return cells;
}

function flatten(object: JsonObject, prefix: string, into: Map<string, Json>): void {
  for (const [key, value] of Object.entries(object)) {
    const name = `${prefix}_${key}`;
    const isTree =
      typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
    if (isTree) flatten(value, name, into);
    else into.set(name, value);
  }
}

/** Of the columns that every file has, the kinds; ids are text. */
const FIXED: Readonly<Record<string, Kind>> = {
  cost_usd: 'float',
  latency_ms: 'float',
  success: 'bool',
  malformed: 'bool',
  malformed_keys: 'json',
  timestamp: 'timestamp',
  tags: 'json',
  tokens_completion: 'integer',
  tokens_prompt: 'integer',
  tokens_total: 'integer',
};

const DECLARED_KINDS: Readonly<Record<string, Kind>> = {
  metadata_score: 'float',
  metadata_rank: 'integer',
  metadata_size: 'integer',
  metadata_good: 'bool',
  metadata_kind: 'text',
};

/** What is absent in some rows repeats itself long before so many. */
const SAMPLE_ROWS = 4096;

/** All columns of flattened files but `event_id`, `datetime` and `sequence`, by name. */
export function trueColumns(order: FileOrder): TrueColumn[] {
  const seen = new Map<string, Json[]>();
  for (let place = 0; place < Math.min(order.rows, SAMPLE_ROWS); place++) {
    for (const [name, value] of cellsOf(order.at(place))) {
      const values = seen.get(name) ?? [];
      if (value !== null) values.push(value);
      seen.set(name, values);
    }
  }
  return [...seen]
    .map(([name, values]) => ({ name, kind: FIXED[name] ?? DECLARED_KINDS[name] ?? kindOf(values) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What all values are. */
function kindOf(values: readonly Json[]): Kind {
  if (values.every((value) => typeof value === 'string')) return 'text';
  if (values.every((value) => typeof value === 'boolean')) return 'bool';
  if (values.every((value) => Number.isSafeInteger(value) && !Object.is(value, -0))) return 'integer';
  return values.every((value) => typeof value === 'number') ? 'float' : 'json';
}

/** Columns that files have without `flatten`. */
export const BASE_COLUMNS: readonly string[] = [
  'cohort',
  'condition',
  'cost_usd',
  'event_name',
  'experiment_id',
  'experiment_name',
  'latency_ms',
  'model',
  'provider',
  'sample_id',
  'session_id',
  'success',
  'timestamp',
];

/** The object that a line of JSON Lines holds, but for its `event_id`. */
export function documentOf(row: TrueRow): JsonObject {
  const { metadata, measurements, tokens, fields } = row;
  const named = [...cellsOf(row)].filter(([name]) => !/^(metadata|measurement|tokens)_/.test(name));
  return { ...Object.fromEntries(named), ...fields, metadata, measurements, tokens };
}

/** The event as an archive has it, but for its id and place. */
export function eventOf(row: TrueRow): JsonObject {
  const { arm, ids } = row;
  return {
    eventName: row.event,
    timestamp: row.timeUs,
    experimentId: arm.id,
    experimentName: arm.name,
    condition: arm.condition,
    tags: arm.tags,
    measurements: row.measurements,
    metadata: row.metadata,
    latencyMs: row.latencyMs,
    costUsd: row.costUsd,
    costSource: costSourceOf(row),
    success: row.success,
    tokens: row.tokens,
    model: row.model,
    provider: row.provider,
    sessionId: ids.sessionId ?? null,
    userId: ids.userId ?? null,
    sampleId: ids.sampleId ?? null,
    cohort: ids.cohort ?? null,
    correlationId: ids.correlationId ?? null,
    traceId: ids.traceId ?? null,
    spanId: ids.spanId ?? null,
    malformed: false,
    malformedKeys: [],
    fields: Object.fromEntries(
      Object.entries(row.fields).map(([key, value]) => [
        key.replace(/_[a-z]/g, (part) => part[1]!.toUpperCase()),
        value,
      ]),
    ),
  };
}
