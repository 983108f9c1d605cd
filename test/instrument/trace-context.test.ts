/** Identity from the headers of W3C Trace Context and Baggage, as they come and as they are broken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { traceContext } from '../../src/index.js';
import { useCalls } from './support.js';

const bench = useCalls();
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const traceparent = `00-${TRACE}-${SPAN}-01`;

it('is the context of a run, and so of the calls in it', async () => {
  const headers = { traceparent, baggage: 'session.id=s%201;ttl=5, user.id = u , study.arm=b,other=x' };
  const context = traceContext(headers);
  expect(context).toEqual({ traceId: TRACE, spanId: SPAN, sessionId: 's 1', userId: 'u', arm: 'b' });
  await bench.experiment.run(async () => {
    await fetch(`${bench.server.url}/v1/messages`, { method: 'POST', body: '{"model":"x"}' }).then((r) =>
      r.text(),
    );
  }, context);
  expect(await bench.calls()).toMatchObject([
    { traceId: TRACE, sessionId: 's 1', userId: 'u', metadata: { arm: 'b' } },
  ]);
});

it('takes headers of fetch, and lists of Node', () => {
  expect(traceContext(new Headers({ traceparent }))).toEqual({ traceId: TRACE, spanId: SPAN });
  expect(traceContext({ baggage: ['sampleId=1', 'cohort=c'] })).toEqual({ sampleId: '1', cohort: 'c' });
});

describe('what is not well formed is left out', () => {
  it.each([
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    'nonsense',
  ])('%s', (broken) => {
    expect(traceContext({ traceparent: broken })).toEqual({});
  });

  it('whatever the headers are', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (parent, baggage) => {
        const values = Object.values(
          traceContext({ traceparent: parent, baggage: `session.id=%,${baggage}` }),
        );
        expect(values.every((value) => typeof value === 'string' && value !== '')).toBe(true);
      }),
    );
    expect(traceContext({ baggage: `user.id=${'x'.repeat(9000)}` })).toEqual({});
    expect(traceContext({ baggage: '__proto__=x,toString=y' })).toEqual({});
  });
});
