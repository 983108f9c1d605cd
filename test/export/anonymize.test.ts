import { createHmac } from 'node:crypto';
import { tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anonymizer, exportChunks } from '../../src/export/index.js';
import type { Json } from '../../src/schema/event.js';
import { LIFTED_FIELDS, lifted } from '../../src/schema/fields.js';
import { event, sourceOf, textOf } from './support.js';

const KEY = 'sixteen bytes ok';
const hash = (value: string) => createHmac('sha256', KEY).update(value).digest('hex').slice(0, 16);

const original = event({
  userId: 'ada',
  sessionId: 7,
  model: 'gpt-4',
  latencyMs: 5,
  metadata: {
    user_id: 'ada',
    userId: 'ada',
    'session-id': 7,
    email: 'ada@example.org',
    turns: [{ UserID: 'bob', text: 'hi' }],
    none: { user_id: null },
  },
  measurements: { email: 'ada@example.org' },
  fields: { subject: 'x', email: 'ada@example.org' },
});

const anonymizedMetadata = (
  metadata: Record<string, Json>,
  options: { fields?: string[]; mode?: 'drop' } = {},
) => anonymizer({ key: KEY, ...options }).event(event({ metadata })).metadata;

describe('anonymizer', () => {
  it('hashes the fields wherever they stand, in any spelling, and keeps the rest', () => {
    const before = structuredClone(original);
    const result = anonymizer({ key: KEY, fields: ['email'] }).event(original);
    expect(original).toEqual(before);
    expect(result).toEqual({
      ...original,
      userId: hash('ada'),
      sessionId: hash('7'),
      metadata: {
        user_id: hash('ada'),
        userId: hash('ada'),
        'session-id': hash('7'),
        email: hash('ada@example.org'),
        turns: [{ UserID: hash('bob'), text: 'hi' }],
        none: { user_id: null },
      },
      measurements: { email: hash('ada@example.org') },
      fields: { subject: 'x', email: hash('ada@example.org') },
    });
  });

  it.each<[string, Record<string, Json>]>([
    ['user.id', { 'user.id': 'ada' }],
    ['user: { id }', { user: { id: 'ada', plan: 'free' } }],
    ['user: { user_id }', { user: { user_id: 'ada' } }],
    ['User: { ID }', { User: { ID: 'ada' } }],
    ['user_id', { user_id: 'ada' }],
    ['USER-ID', { 'USER-ID': 'ada' }],
    ['user', { user: 'ada' }],
    [
      'user.name, user.email, user.full_name',
      { 'user.name': 'ada', 'user.email': 'ada', 'user.full_name': 'ada' },
    ],
    ['enduser.id', { 'enduser.id': 'ada' }],
    ['enduser: { id }', { enduser: { id: 'ada' } }],
    ['end_user_id', { end_user_id: 'ada' }],
    ['enduser.pseudo.id', { 'enduser.pseudo.id': 'ada' }],
    ['session.id', { 'session.id': 'ada' }],
    ['session: { id }', { session: { id: 'ada', turns: 3 } }],
    ['session.previous_id', { 'session.previous_id': 'ada' }],
    ['gen_ai.conversation.id', { 'gen_ai.conversation.id': 'ada' }],
    ['conversationId', { conversationId: 'ada' }],
    ['inside of others', { attributes: { 'user.id': 'ada' }, a: [{ b: { user: { id: 'ada' } } }] }],
    ['behind other words', { 'langfuse.user.id': 'ada', langfuse_session_id: 'ada', requestUserId: 'ada' }],
    ['and what is inside of it', { 'user.id': { raw: 'ada' }, 'user.id.raw': 'ada' }],
    ['under a prototype’s name', JSON.parse('{"__proto__": {"user_id": "ada"}}')],
  ])('finds %s, in metadata, measurements and what is told of the experiment', (_, object) => {
    for (const mode of ['hash', 'drop'] as const) {
      const { event: of, about } = anonymizer({ key: KEY, mode });
      const { metadata, measurements, fields } = of(
        event({ metadata: object, measurements: object, fields: object }),
      );
      const told = about({ id: 'e', name: 'n', condition: 'c', metadata: object });
      for (const part of [metadata, measurements, fields, told.metadata]) {
        expect(JSON.stringify(part)).not.toContain('ada');
        if (mode === 'hash') expect(JSON.stringify(part)).toMatch(/[0-9a-f]{16}/);
      }
      expect(JSON.stringify(metadata).includes('free')).toBe(JSON.stringify(object).includes('free'));
    }
  });

  it('gives one id one hash under all of its names, so that they can be joined', () => {
    expect(
      anonymizedMetadata({
        'user.id': 'ada',
        enduser: { id: 'ada' },
        user_id: 'ada',
        session: { id: 'ada' },
      }),
    ).toEqual({
      'user.id': hash('ada'),
      enduser: { id: hash('ada') },
      user_id: hash('ada'),
      session: { id: hash('ada') },
    });
  });

  it('leaves alone what only looks like it', () => {
    const metadata = {
      id: 'ada',
      superuserid: 'ada',
      user_id_count: 3,
      cpu: { user: 12 },
      user: { plan: 'free', tags: ['ada'] },
      session: 3,
      'thread.id': 5,
      users: ['ada'],
    };
    expect(anonymizedMetadata(metadata)).toEqual(metadata);
  });

  it('finds named fields by any spelling, dotted and nested', () => {
    const metadata = {
      customer: { id: 'ada', city: 'x' },
      'customer.id': 'ada',
      customerId: 'ada',
      'shop.customer.id': 'ada',
      'customer.id.raw': 'ada',
      system_customer_id: 'ada',
      prompt: { text: 'ada' },
      system_prompt: 'x',
    };
    expect(anonymizedMetadata(metadata, { fields: ['customer.id', 'prompt'], mode: 'drop' })).toEqual({
      customer: { city: 'x' },
      system_customer_id: 'ada',
      system_prompt: 'x',
    });
  });

  it('hides every metadata key that is read as the user or the session', () => {
    const names = ['userId', 'sessionId'].filter((name) =>
      (LIFTED_FIELDS as readonly string[]).includes(name),
    );
    expect(names).toHaveLength(2);
    for (const name of names) {
      for (const key of [name, name.replace('Id', '_id')]) {
        expect(lifted({ [key]: 'ada' }, name)).toBe('ada');
        expect(anonymizedMetadata({ [key]: 'ada' })).toEqual({ [key]: hash('ada') });
      }
    }
  });

  it('leaves no id, wherever it is put', () => {
    const name = fc.constantFrom('user.id', 'userId', 'enduser.id', 'session_id', 'gen_ai.conversation.id');
    const leaf = fc.oneof(
      fc.dictionary(name, fc.constant('ada'), { minKeys: 1 }),
      fc
        .tuple(fc.constantFrom('user', 'session', 'endUser'), fc.constant({ id: 'ada' }))
        .map((entry) => ({ [entry[0]]: entry[1] })),
    );
    const key = fc.oneof(fc.string(), fc.constantFrom('user', 'a.b', 'attributes'));
    const { tree } = fc.letrec<{ tree: Record<string, Json> }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.tuple(key, tie('tree')).map(([k, v]) => ({ [k]: v })),
        fc.tuple(key, fc.array(tie('tree'), { minLength: 1, maxLength: 3 })).map(([k, v]) => ({ [k]: v })),
      ) as fc.Arbitrary<Record<string, Json>>,
    }));
    fc.assert(
      fc.property(tree, (metadata) => {
        expect(JSON.stringify(Object.values(anonymizedMetadata(metadata)))).not.toContain('"ada"');
      }),
    );
  });

  it('drops instead when asked, and nulls fields that cannot hold a hash', () => {
    const options = { fields: ['email', 'latency_ms', 'turns'], mode: 'drop' as const };
    const result = anonymizer(options).event(original);
    expect(result).toMatchObject({ userId: null, sessionId: null, latencyMs: null, model: 'gpt-4' });
    expect(result.metadata).toEqual({ none: {} });
    expect(result.measurements).toEqual({});
  });

  it('gives different hashes under different keys', () => {
    const other = anonymizer({ key: 'another key of enough bytes' }).event(original);
    expect(other.userId).toMatch(/^[0-9a-f]{16}$/);
    expect(other.userId).not.toBe(hash('ada'));
  });

  it.each([
    {},
    { key: '' },
    { key: 'fifteen bytes..' },
    { key: 5 as unknown as string },
    { key: KEY, mode: 'blur' as 'hash' },
    { key: KEY, fields: ['event_name'] },
    { key: KEY, fields: 'email' as unknown as string[] },
  ])('refuses %j', (options) => {
    expect(() => anonymizer(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
  });

  it('counts the bytes of a key, and does not tell it', () => {
    expect(() => anonymizer({ key: 'ключключ' })).not.toThrow();
    expect(() => anonymizer({ key: 'hunter2' })).toThrow(
      'anonymize.key: expected a secret of at least 16 bytes, such as openssl rand -hex 32 makes, got "7 bytes"',
    );
  });

  it.each(['csv', 'jsonl'])('leaves no trace of the person in %s', async (format) => {
    const options = { anonymize: { key: KEY, fields: ['email'] } };
    const text = await textOf(exportChunks(sourceOf(original), format, options));
    expect(text).not.toMatch(/\b(ada|bob)\b/);
    expect(text).toContain(hash('ada'));
  });

  it('leaves none in what a file tells of its experiments', async () => {
    const about = [
      { id: 'EXP', name: 'golden', condition: 'c', metadata: { owner: { user: { id: 'ada' } } } },
    ];
    const chunks: Uint8Array[] = [];
    for await (const chunk of exportChunks(sourceOf(original), 'arrow', { about, anonymize: { key: KEY } })) {
      chunks.push(chunk);
    }
    const told = tableFromIPC(Buffer.concat(chunks)).schema.metadata.get('crucible.experiments');
    expect(JSON.parse(told!)[0].metadata).toEqual({ owner: { user: { id: hash('ada') } } });
  });
});
