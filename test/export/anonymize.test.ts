import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { anonymizer, exportChunks } from '../../src/export/index.js';
import { event, sourceOf, textOf } from './support.js';

const hash = (value: string) => createHmac('sha256', 'k').update(value).digest('hex').slice(0, 16);

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
  fields: { userEmail: 'x', email: 'ada@example.org' },
});

describe('anonymizer', () => {
  it('hashes the fields wherever they stand, in any spelling, and keeps the rest', () => {
    const before = structuredClone(original);
    const result = anonymizer({ key: 'k', fields: ['email'] })(original);
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
      fields: { userEmail: 'x', email: hash('ada@example.org') },
    });
  });

  it('drops instead when asked, and nulls fields that cannot hold a hash', () => {
    const result = anonymizer({ key: 'k', fields: ['email', 'latency_ms', 'turns'], mode: 'drop' })(original);
    expect(result).toMatchObject({ userId: null, sessionId: null, latencyMs: null, model: 'gpt-4' });
    expect(result.metadata).toEqual({ none: {} });
    expect(result.measurements).toEqual({});
  });

  it('gives different hashes under different keys', () => {
    const other = anonymizer({ key: 'other' })(original);
    expect(other.userId).toMatch(/^[0-9a-f]{16}$/);
    expect(other.userId).not.toBe(hash('ada'));
  });

  it.each([
    { key: '' },
    { key: 'k', mode: 'blur' as 'hash' },
    { key: 'k', fields: ['event_name'] },
    { key: 'k', fields: 'email' as unknown as string[] },
  ])('refuses %j', (options) => {
    expect(() => anonymizer(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
  });

  it.each(['csv', 'jsonl'])('leaves no trace of the person in %s', async (format) => {
    const options = { anonymize: { key: 'k', fields: ['email'] } };
    const text = await textOf(exportChunks(sourceOf(original), format, options));
    expect(text).not.toMatch(/\b(ada|bob)\b/);
    expect(text).toContain(hash('ada'));
  });
});
