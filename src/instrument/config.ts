/** What `crucible-telemetry/register` is told: by the environment, which wins, and by a file. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { ConfigError } from '../errors.js';
import { suggest } from '../suggest.js';
import type { ContentOptions } from './content.js';
import { SOURCES, type Source } from './instrument.js';

export interface RegisterConfig {
  /** Name of the experiment. Default: that of the program. */
  readonly experiment?: string;
  readonly condition?: string;
  readonly tags?: readonly string[];
  /** Folder in which it is kept; absent, it lives in memory only. */
  readonly dir?: string;
  /** Hosts of models beside the known ones, each `host` or `host:port`. */
  readonly hosts?: readonly string[];
  readonly sources?: readonly Source[];
  /** Whether what is said is stored, and how. */
  readonly content?: boolean | ContentOptions;
  /** Prints what was captured when the process ends. */
  readonly summary?: boolean;
  /** Port of the page that shows the calls as they are made, on this machine; 0: any. */
  readonly serve?: number;
}

/** A key of the configuration with its variable, and what a text or a value of the file means. */
interface Key {
  readonly variable: string;
  readonly parse: (text: string) => unknown;
  readonly accepts: (value: unknown) => boolean;
  readonly expected: string;
}

const TEXT: Omit<Key, 'variable'> = {
  parse: (text) => text,
  accepts: (value) => typeof value === 'string' && value !== '',
  expected: 'a text',
};
const LIST: Omit<Key, 'variable'> = {
  parse: (text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  accepts: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  expected: 'a list of texts',
};
const FLAG: Omit<Key, 'variable'> = {
  parse: (text) => ({ '1': true, true: true, '0': false, false: false })[text.toLowerCase()] ?? text,
  accepts: (value) => typeof value === 'boolean',
  expected: '1 or 0',
};

const PORT: Omit<Key, 'variable'> = {
  parse: (text) => (/^\d+$/.test(text) ? Number(text) : text),
  accepts: (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535,
  expected: 'a port from 0 to 65535',
};

const KEYS: Readonly<Record<keyof RegisterConfig, Key>> = {
  experiment: { variable: 'CRUCIBLE_EXPERIMENT', ...TEXT },
  condition: { variable: 'CRUCIBLE_CONDITION', ...TEXT },
  tags: { variable: 'CRUCIBLE_TAGS', ...LIST },
  dir: { variable: 'CRUCIBLE_DIR', ...TEXT },
  hosts: { variable: 'CRUCIBLE_HOSTS', ...LIST },
  sources: {
    variable: 'CRUCIBLE_SOURCES',
    ...LIST,
    accepts: (value) =>
      LIST.accepts(value) && (value as Source[]).every((source) => SOURCES.includes(source)),
    expected: `a list of ${SOURCES.join(', ')}`,
  },
  content: {
    variable: 'CRUCIBLE_CONTENT',
    ...FLAG,
    accepts: (value) => typeof value === 'boolean' || (typeof value === 'object' && value !== null),
    expected: '1 or 0; in a file true, false or { redact, maxBytes }',
  },
  summary: { variable: 'CRUCIBLE_SUMMARY', ...FLAG },
  serve: { variable: 'CRUCIBLE_SERVE', ...PORT },
};

const FILES: readonly string[] = ['json', 'js', 'mjs', 'cjs', 'ts'].map((type) => `crucible.config.${type}`);

/**
 * The configuration of this process, from its environment and from `CRUCIBLE_CONFIG`, or a file `crucible.config.json`,
 * `.js`, `.mjs`, `.cjs` or `.ts` (where the runtime takes it) in its working directory.
 * @throws ConfigError for a key that is unknown, or a value that is not understood
 */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): RegisterConfig {
  const config: Record<string, unknown> = { ...readFile(environment.CRUCIBLE_CONFIG) };
  for (const [name, { variable, parse, accepts, expected }] of Object.entries(KEYS)) {
    const text = environment[variable];
    if (text === undefined || text === '') continue;
    config[name] = parse(text);
    if (!accepts(config[name])) throw new ConfigError(variable, expected, text);
  }
  return config;
}

function readFile(given: string | undefined): object {
  const path = given === undefined ? FILES.map((name) => resolve(name)).find(existsSync) : resolve(given);
  if (path === undefined) return {};
  const content = load(path);
  if (typeof content !== 'object' || content === null) throw new ConfigError(path, 'an object', content);
  for (const [name, value] of Object.entries(content)) {
    const key = Object.hasOwn(KEYS, name) ? KEYS[name as keyof RegisterConfig] : undefined;
    if (key === undefined) {
      const meant = suggest(name, Object.keys(KEYS));
      throw new ConfigError(
        path,
        meant === null ? `keys among ${Object.keys(KEYS).join(', ')}` : `the key ${meant}`,
        name,
      );
    }
    if (!key.accepts(value)) throw new ConfigError(`${path}: ${name}`, key.expected, value);
  }
  return content;
}

function load(path: string): unknown {
  try {
    if (path.endsWith('.json')) return JSON.parse(readFileSync(path, 'utf8')) as unknown;
    const loaded = createRequire(path)(path) as { readonly default?: unknown };
    return loaded.default ?? loaded;
  } catch (error) {
    throw new ConfigError(path, `a file that can be read (${(error as Error).message})`, path);
  }
}
