/** The registry of known events. */

import { beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { type EventDefinition, EventRegistry, events } from '../../src/schema/registry.js';

const STANDARD: Record<string, string[]> = {
  llm: ['req_llm.request.start', 'req_llm.request.stop', 'req_llm.request.exception'],
  ensemble: ['ensemble.prediction.start', 'ensemble.prediction.stop', 'ensemble.vote.completed'],
  hedging: ['hedging.request.start', 'hedging.request.duplicated', 'hedging.request.stop'],
  training: [
    'crucible_train.training.start',
    'crucible_train.training.stop',
    'crucible_train.epoch.start',
    'crucible_train.epoch.stop',
    'crucible_train.batch.stop',
    'crucible_train.checkpoint.saved',
  ],
  deployment: [
    'crucible_deployment.inference.start',
    'crucible_deployment.inference.stop',
    'crucible_deployment.inference.exception',
  ],
  framework: [
    'crucible_framework.pipeline.start',
    'crucible_framework.pipeline.stop',
    'crucible_framework.stage.start',
    'crucible_framework.stage.stop',
  ],
  trace: ['causal_trace.event.created'],
  tools: ['altar.tool.start', 'altar.tool.stop'],
};

describe('EventRegistry', () => {
  let registry: EventRegistry;
  beforeEach(() => {
    registry = new EventRegistry();
  });

  it('knows the 25 standard events', () => {
    expect(registry.standard()).toHaveLength(25);
    expect(registry.standard().toSorted()).toEqual(Object.values(STANDARD).flat().toSorted());
    expect(events.standard()).toEqual(registry.standard());
  });

  it.each(Object.entries(STANDARD))('tells the events of %s', (category, names) => {
    expect(registry.byCategory(category)).toEqual(expect.arrayContaining(names));
    expect(registry.byCategory()[category]).toEqual(registry.byCategory(category));
    for (const name of names) {
      expect(registry.info(name)).toEqual({ category, description: expect.stringMatching(/\w/) });
    }
  });

  it('understands the exception forms that the reference lacks, without calling them standard', () => {
    for (const [name, category] of [
      ['altar.tool.exception', 'tools'],
      ['ensemble.prediction.exception', 'ensemble'],
      ['hedging.request.exception', 'hedging'],
    ] as const) {
      expect(registry.info(name)).toMatchObject({ category });
      expect(registry.byCategory(category)).toContain(name);
      expect(registry.standard()).not.toContain(name);
    }
  });

  it('answers null for an event and [] for a category that it does not know', () => {
    expect(registry.info('no.such.event')).toBeNull();
    expect(registry.info('constructor')).toBeNull();
    expect(registry.byCategory('no such category')).toEqual([]);
  });

  it('lets users add events, with columns, which are then known but not standard', () => {
    const definition: EventDefinition = {
      name: 'my.judge.scored',
      category: 'judge',
      description: 'A judge gave a score',
      columns: { score: 'f64', rubric: 'dict' },
    };
    registry.register(definition);
    expect(registry.info('my.judge.scored')).toEqual({
      category: 'judge',
      description: 'A judge gave a score',
    });
    expect(registry.definition('my.judge.scored')).toEqual(definition);
    expect(registry.byCategory('judge')).toEqual(['my.judge.scored']);
    expect(registry.all()).toContain('my.judge.scored');
    expect(registry.standard()).toHaveLength(25);
  });

  it('replaces a definition of the same name', () => {
    registry.register({ name: 'a.b', category: 'one', description: 'first' });
    registry.register({ name: 'a.b', category: 'two', description: 'second' });
    expect(registry.info('a.b')).toEqual({ category: 'two', description: 'second' });
    expect(registry.byCategory('one')).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['definition', null],
    ['definition', 'my.event'],
    ['definition.name', { category: 'c', description: 'd' }],
    ['definition.name', { name: '', category: 'c', description: 'd' }],
    ['definition.category', { name: 'n', category: 5, description: 'd' }],
    ['definition.description', { name: 'n', category: 'c' }],
    ['definition.columns.x', { name: 'n', category: 'c', description: 'd', columns: { x: 'f32' } }],
    ['definition.columns.x', { name: 'n', category: 'c', description: 'd', columns: { x: null } }],
    ['definition.columns', { name: 'n', category: 'c', description: 'd', columns: 5 }],
    ['definition.columns', { name: 'n', category: 'c', description: 'd', columns: ['f64'] }],
    ['definition.columns.tokens', { name: 'n', category: 'c', description: 'd', columns: { tokens: 'f64' } }],
  ])('refuses a bad %s: %j', (path, definition) => {
    const register = () => registry.register(definition as EventDefinition);
    expect(register).toThrow(ConfigError);
    expect(register).toThrow(`${path}: expected`);
    expect(registry.info('n')).toBeNull();
  });

  it('refuses what contradicts a standard event, or the type of a column that is known', () => {
    const standard = { name: 'req_llm.request.stop', description: 'd' };
    expect(() => registry.register({ ...standard, category: 'training' })).toThrow(
      'definition.category: expected llm',
    );
    registry.register({ ...standard, category: 'llm', columns: { region: 'dict' } });
    const own = { name: 'a.b', category: 'c', description: 'd' };
    registry.register({ ...own, columns: { hits: 'i32', region: 'dict' } });
    for (const [name, columns] of [
      ['a.b', { hits: 'dict' }],
      ['c.d', { hits: 'f64' }],
      ['c.d', { region: 'bool' }],
    ] as const) {
      expect(() => registry.register({ ...own, name, columns })).toThrow(
        /definition\.columns\.\w+: expected/,
      );
    }
    expect(registry.definition('a.b')?.columns).toEqual({ hits: 'i32', region: 'dict' });
    expect(registry.info('c.d')).toBeNull();
    expect(() => registry.register({ ...own, colums: {} } as never)).toThrow(
      'definition.colums: expected columns, perhaps',
    );
  });

  it.each(['constructor', 'toString', '__proto__'])(
    'takes a category named %s like any other',
    (category) => {
      expect(registry.byCategory(category)).toEqual([]);
      registry.register({ name: 'a.b', category, description: 'd' });
      expect(registry.byCategory(category)).toEqual(['a.b']);
      expect(registry.byCategory('llm')).toContain('req_llm.request.stop');
    },
  );

  it('keeps a definition of its own: changing the caller’s object changes nothing', () => {
    const columns: Record<string, 'f64' | 'dict'> = { score: 'f64' };
    registry.register({ name: 'a.b', category: 'c', description: 'd', columns });
    columns.score = 'dict';
    expect(registry.definition('a.b')?.columns).toEqual({ score: 'f64' });
  });
});
