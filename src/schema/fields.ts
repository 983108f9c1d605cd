/** What readers lift out of an event: the fields of its category, and values under either of two spellings. */
import type { Json } from './event.js';

/** Where the fields of a category come from: `m` for measurements, `d` for metadata, in order of preference. */
export const FIELDS: Readonly<
  Record<string, readonly (readonly [name: string, from: 'm' | 'd' | 'dm' | 'md'])[]>
> = {
  training: [
    ['epoch', 'dm'],
    ['batch', 'dm'],
    ['learningRate', 'dm'],
    ['loss', 'm'],
    ['accuracy', 'm'],
    ['gradientNorm', 'm'],
    ['checkpointPath', 'd'],
  ],
  deployment: [
    ['modelName', 'd'],
    ['modelVersion', 'd'],
    ['batchSize', 'd'],
    ['inputSize', 'm'],
    ['outputSize', 'm'],
  ],
  framework: [
    ['pipelineId', 'd'],
    ['stageName', 'd'],
    ['stageIndex', 'd'],
  ],
  ensemble: [
    ['votes', 'dm'],
    ['agreement', 'md'],
    ['winner', 'dm'],
    ['totalCost', 'md'],
  ],
  hedging: [
    ['winner', 'dm'],
    ['primaryLatency', 'md'],
    ['backupLatency', 'md'],
    ['duplicationCost', 'md'],
  ],
};

/** The names of all of them. */
export const CATEGORY_FIELDS: ReadonlySet<string> = new Set(
  Object.values(FIELDS).flatMap((fields) => fields.map(([name]) => name)),
);

/** The category's fields that the event gives, in camelCase; missing ones are null. */
export function categoryFields(
  category: string | null,
  measurements: Record<string, Json>,
  metadata: Record<string, Json>,
): Record<string, Json> {
  const fields: Record<string, Json> = {};
  // A registered category may be named like a property that every object has.
  const known = category !== null && Object.hasOwn(FIELDS, category) ? FIELDS[category] : [];
  for (const [name, from] of known) {
    const first = from.startsWith('d') ? metadata : measurements;
    const second = from.length === 1 ? first : from.endsWith('d') ? metadata : measurements;
    fields[name] = lifted(first, name) ?? lifted(second, name);
  }
  return fields;
}

/** Whom and what an event is about: looked for in its metadata under either spelling. */
export const LIFTED_FIELDS = [
  'sessionId',
  'userId',
  'sampleId',
  'cohort',
  'correlationId',
  'traceId',
  'spanId',
] as const;

const LIFTED_KEYS: ReadonlySet<string> = new Set(LIFTED_FIELDS.flatMap((name) => [name, snakeCase(name)]));

/** Whether metadata with this key say whom or what the event is about. */
export function isLifted(key: string): boolean {
  return LIFTED_KEYS.has(key);
}

/** snake_case spellings of the names that are looked for in every event: those in FIELDS, and the lifted ones. */
const SNAKE_CASE = new Map<string, string>();

/** A key's value under its camelCase or snake_case spelling, else null. */
export function lifted(source: Record<string, Json>, camel: string): Json {
  const value = source[camel];
  if (value !== undefined && value !== null) return value;
  let snake = SNAKE_CASE.get(camel);
  if (snake === undefined) {
    snake = snakeCase(camel);
    SNAKE_CASE.set(camel, snake);
  }
  return source[snake] ?? null;
}

/** `learningRate` → `learning_rate`, `HTTPStatus` → `http_status`; snake_case stays as it is. */
export function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase();
}
