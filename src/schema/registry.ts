/** The registry of known events: the 25 standard ones and what users add. */
import { ConfigError } from '../errors.js';
import { suggest } from '../suggest.js';
import { type ColumnType, checkColumnTypes } from './columns.js';

export interface EventInfo {
  readonly category: string;
  readonly description: string;
}

export interface EventDefinition extends EventInfo {
  readonly name: string;
  /** Metadata keys that experiments capturing this event store as typed columns. */
  readonly columns?: Readonly<Record<string, ColumnType>>;
}

const STANDARD: readonly (readonly [category: string, name: string, description: string])[] = [
  ['llm', 'req_llm.request.start', 'A model request was sent'],
  ['llm', 'req_llm.request.stop', 'A model request was answered'],
  ['llm', 'req_llm.request.exception', 'A model request failed'],
  ['ensemble', 'ensemble.prediction.start', 'An ensemble prediction began'],
  ['ensemble', 'ensemble.prediction.stop', 'An ensemble prediction is complete'],
  ['ensemble', 'ensemble.vote.completed', 'The members of an ensemble have voted'],
  ['hedging', 'hedging.request.start', 'A hedged request was sent'],
  ['hedging', 'hedging.request.duplicated', 'A hedged request was sent a second time'],
  ['hedging', 'hedging.request.stop', 'A hedged request was answered'],
  ['training', 'crucible_train.training.start', 'A training run began'],
  ['training', 'crucible_train.training.stop', 'A training run is complete'],
  ['training', 'crucible_train.epoch.start', 'An epoch began'],
  ['training', 'crucible_train.epoch.stop', 'An epoch is complete'],
  ['training', 'crucible_train.batch.stop', 'A batch is complete'],
  ['training', 'crucible_train.checkpoint.saved', 'A checkpoint was saved'],
  ['deployment', 'crucible_deployment.inference.start', 'An inference began'],
  ['deployment', 'crucible_deployment.inference.stop', 'An inference is complete'],
  ['deployment', 'crucible_deployment.inference.exception', 'An inference failed'],
  ['framework', 'crucible_framework.pipeline.start', 'A pipeline began'],
  ['framework', 'crucible_framework.pipeline.stop', 'A pipeline is complete'],
  ['framework', 'crucible_framework.stage.start', 'A pipeline stage began'],
  ['framework', 'crucible_framework.stage.stop', 'A pipeline stage is complete'],
  ['trace', 'causal_trace.event.created', 'A causal trace event was created'],
  ['tools', 'altar.tool.start', 'A tool call began'],
  ['tools', 'altar.tool.stop', 'A tool call is complete'],
];

/** Understood like the standard events, but none of the 25 of the reference. */
const FURTHER: typeof STANDARD = [
  ['tools', 'altar.tool.exception', 'A tool call failed'],
  ['ensemble', 'ensemble.prediction.exception', 'An ensemble prediction failed'],
  ['hedging', 'hedging.request.exception', 'A hedged request failed'],
];

const DEFINITION_KEYS: readonly string[] = ['name', 'category', 'description', 'columns'];

function unknownKey(key: string, definition: object): ConfigError {
  const nearest = suggest(key, DEFINITION_KEYS);
  const expected = nearest === null ? 'no such key' : `${nearest}, perhaps; there is no such key`;
  return new ConfigError(`definition.${key}`, expected, definition[key as keyof typeof definition]);
}

/** The events that are known, and what each is about. */
export class EventRegistry {
  readonly #definitions = new Map<string, EventDefinition>();
  /** Categories of the events that come with the library, which readers rely on. */
  readonly #standard = new Map<string, string>();
  readonly #listeners: ((name: string) => void)[] = [];

  constructor() {
    for (const [category, name, description] of [...STANDARD, ...FURTHER]) {
      this.#definitions.set(name, { category, name, description });
      this.#standard.set(name, category);
    }
  }

  /** The names of the 25 standard events. */
  standard(): string[] {
    return STANDARD.map(([, name]) => name);
  }

  /** Every known name, those registered by users included. */
  all(): string[] {
    return [...this.#definitions.keys()];
  }

  /** Names by category. */
  byCategory(): Record<string, string[]>;
  /** The names of one category; empty when nobody uses it. */
  byCategory(category: string): string[];
  byCategory(category?: string): Record<string, string[]> | string[] {
    const groups = new Map<string, string[]>();
    for (const { category: group, name } of this.#definitions.values()) {
      groups.set(group, [...(groups.get(group) ?? []), name]);
    }
    return category === undefined ? Object.fromEntries(groups) : (groups.get(category) ?? []);
  }

  info(name: string): EventInfo | null {
    const definition = this.#definitions.get(name);
    return definition ? { category: definition.category, description: definition.description } : null;
  }

  /** The whole definition, or undefined. */
  definition(name: string): EventDefinition | undefined {
    return this.#definitions.get(name);
  }

  /**
   * Adds an event, or replaces one of the same name. Experiments that capture what is registered do so from now on; those
   * started afterwards have its columns.
   * @throws ConfigError for what contradicts what is known: a standard event of another category, or a column of a type
   *   that it has not in another event, or had in this one
   */
  register(definition: EventDefinition): void {
    if (typeof definition !== 'object' || definition === null) {
      throw new ConfigError('definition', 'an event definition', definition);
    }
    for (const key of ['name', 'category', 'description'] as const) {
      const value: unknown = definition[key];
      if (typeof value !== 'string' || value === '') {
        throw new ConfigError(`definition.${key}`, 'a non-empty string', value);
      }
    }
    for (const key of Object.keys(definition)) {
      if (!DEFINITION_KEYS.includes(key)) throw unknownKey(key, definition);
    }
    const { name, category, description } = definition;
    const columns = checkColumnTypes('definition.columns', definition.columns);
    const standard = this.#standard.get(name);
    if (standard !== undefined && standard !== category) {
      throw new ConfigError(
        'definition.category',
        `${standard}, as the standard event ${name} has it`,
        category,
      );
    }
    for (const known of this.#definitions.values()) {
      for (const [column, type] of Object.entries(known.columns ?? {})) {
        if (!Object.hasOwn(columns, column) || columns[column] === type) continue;
        const expected = `${type}, as ${known.name} has it: a column is of one type`;
        throw new ConfigError(`definition.columns.${column}`, expected, columns[column]);
      }
    }
    this.#definitions.set(name, { name, category, description, columns });
    for (const listener of this.#listeners) listener(name);
  }

  /** Calls back with the name of every event that is registered from now on. */
  onRegister(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }
}

/** The process's registry. */
export const events = new EventRegistry();
