/**
 * What does it cost to see calls of models as they pass: a call, a piece of a stream, a span, nothing at all, and a
 * stream that is open?
 *
 * Differences between the same work with and without the tap, in turns, the best of many short rounds: garbage is
 * collected between most of them, and its cost is in `service`. The fetch
 * underneath answers at once from memory, so that nothing hides in the network's time. The batch processor of
 * OpenTelemetry is timed with its export, to an exporter that turns attributes into JSON and sends nothing.
 *
 * Not measured: the network, an SDK's own work, a loaded service.
 */
import { BasicTracerProvider, BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { Crucible, LLM_COLUMNS, telemetry } from '../src/index.js';
import { tapFetch } from '../src/instrument/fetch-tap.js';
import { CrucibleSpanProcessor } from '../src/outlets/otel.js';
import { type Bench, best, type Row, type Scale, time } from './harness.js';

const URL = 'https://api.openai.com/v1/chat/completions';
const ANSWER = JSON.stringify({
  ...{
    id: 'chatcmpl-1',
    model: 'gpt-4o',
    choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }],
  },
  usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
});
const PIECE = new TextEncoder().encode(
  `data: ${JSON.stringify({ id: 'chatcmpl-1', model: 'gpt-4o', choices: [{ delta: { content: 'word ' } }] })}\n\n`,
);
const LAST = new TextEncoder().encode('data: [DONE]\n\n');
const REQUEST = { method: 'POST', body: '{"model":"gpt-4o","messages":[]}' };

const whole: typeof fetch = async () =>
  new Response(ANSWER, { headers: { 'content-type': 'application/json' } });

const streamOf =
  (pieces: number): typeof fetch =>
  async () => {
    let left = pieces;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left > 0) controller.enqueue(PIECE);
        else if (left === 0) controller.enqueue(LAST);
        else controller.close();
        left--;
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };

async function callAll(fetched: typeof fetch, calls: number): Promise<void> {
  for (let i = 0; i < calls; i++) await (await fetched(URL, REQUEST)).text();
}

async function readAll(fetched: typeof fetch): Promise<void> {
  const reader = (await fetched(URL, REQUEST)).body!.getReader();
  while (!(await reader.read()).done);
}

interface Difference {
  /** Microseconds a unit that the first takes. */
  readonly plainUs: number;
  /** That the second takes more. */
  readonly moreUs: number;
}

/** The two in turns. */
async function differenceOf(
  rounds: number,
  units: number,
  plain: () => Promise<void>,
  tapped: () => Promise<void>,
): Promise<Difference> {
  let [least, leastTapped] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    least = Math.min(least, await best(1, plain));
    leastTapped = Math.min(leastTapped, await best(1, tapped));
  }
  return { plainUs: (least * 1000) / units, moreUs: ((leastTapped - least) * 1000) / units };
}

function rowOf(
  name: string,
  value: number,
  unit: string,
  max: number,
  { digits = 2, against = '' }: { readonly digits?: number; readonly against?: string } = {},
): Row {
  return {
    name,
    value: `${value.toFixed(digits)} ${unit}`,
    against,
    bound: `≤ ${max} ${unit}`,
    holds: value <= max,
  };
}

async function tapRows({ smoke }: Scale, endsOfCalls: () => number): Promise<Row[]> {
  // Rounds of a millisecond or two: the best of many is one that nothing has interrupted.
  const [calls, pieces, turns] = smoke ? [20, 50, 2] : [50, 500, 400];
  const tapped = tapFetch(whole);
  const stream = streamOf(pieces);
  const tappedStream = tapFetch(streamOf(pieces));
  const call = await differenceOf(
    turns,
    calls,
    () => callAll(whole, calls),
    () => callAll(tapped, calls),
  );
  const piece = await differenceOf(
    turns,
    pieces,
    () => readAll(stream),
    () => readAll(tappedStream),
  );
  // Each of them is an event, and no cheap one that has missed its call.
  const expected = turns * (calls + 1);
  if (endsOfCalls() !== expected) throw new Error(`${endsOfCalls()} calls were seen of ${expected}`);
  const added = ({ plainUs }: Difference) => ({ against: `on top of ${plainUs.toFixed(2)} µs` });
  return [
    rowOf('the tap, a call', call.moreUs, 'µs', 5, added(call)),
    rowOf('the tap, a piece of a stream', piece.moreUs, 'µs', 1, added(piece)),
  ];
}

/** Ends spans of a call, of which nobody but the given processor hears. */
function spansOf(count: number): ReadableSpan[] {
  const tracer = new BasicTracerProvider().getTracer('bench');
  return Array.from({ length: count }, (_, i) => {
    const span = tracer.startSpan('chat gpt-4o', {
      attributes: {
        ...{
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': 'openai',
          'gen_ai.request.model': 'gpt-4o',
        },
        ...{
          'gen_ai.usage.input_tokens': 20,
          'gen_ai.usage.output_tokens': 10,
          'gen_ai.response.id': `r${i}`,
        },
      },
    });
    span.end();
    return span as unknown as ReadableSpan;
  });
}

function endAll(processor: CrucibleSpanProcessor, spans: readonly ReadableSpan[]): void {
  for (const span of spans) processor.onEnd(span);
}

async function spanRows({ smoke }: Scale): Promise<Row[]> {
  const spans = spansOf(smoke ? 32 : 500);
  const others = spans.map((span) =>
    Object.assign(Object.create(span) as ReadableSpan, { attributes: { 'http.route': '/' } }),
  );
  const ours = new CrucibleSpanProcessor();
  let bytes = 0;
  const batch = new BatchSpanProcessor(
    {
      export(batched, done) {
        for (const { attributes } of batched) bytes += JSON.stringify(attributes).length;
        done({ code: 0 });
      },
      shutdown: async () => {},
    },
    { maxQueueSize: 1 << 20, scheduledDelayMillis: 1e6 },
  );
  const perSpan = async (run: () => Promise<void> | void) =>
    ((await best(1, async () => run())) * 1000) / spans.length;
  let [own, other, theirs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < (smoke ? 2 : 200); round++) {
    own = Math.min(own, await perSpan(() => endAll(ours, spans)));
    other = Math.min(other, await perSpan(() => endAll(ours, others)));
    theirs = Math.min(
      theirs,
      await perSpan(async () => {
        for (const span of spans) batch.onEnd(span as never);
        await batch.forceFlush();
      }),
    );
  }
  await batch.shutdown();
  return [
    rowOf('the span processor, a span of a call', own, 'µs', 1),
    rowOf('the span processor, another span', other, 'µs', 1),
    {
      name: "OpenTelemetry's batch processor, the same span",
      value: `${theirs.toFixed(2)} µs`,
      against: `${(theirs / own).toFixed(1)} × ours, ${bytes > 0 ? 'with' : 'without'} JSON of attributes`,
      bound: '≥ 3 ×',
      holds: theirs >= 3 * own,
    },
  ];
}

function idleRow(scale: Scale): Row {
  const measurements = { duration: 1 };
  const metadata = { model: 'gpt-4o' };
  const [timing] = time(
    [
      {
        name: 'idle',
        operations: scale.operations,
        run() {
          for (let i = 0; i < scale.operations; i++)
            telemetry.execute('bench.unheard', measurements, metadata);
          return 1;
        },
      },
    ],
    scale,
  );
  return rowOf('an event that nobody hears', timing!.ns, 'ns', 2);
}

/** Heap that streams take which are open, of which one piece has been read. */
async function openRow({ smoke }: Scale): Promise<Row> {
  const streams = smoke ? 20 : 1000;
  const perStream = async (fetched: typeof fetch) => {
    const held: unknown[] = [];
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < streams; i++) {
      const response = await fetched(URL, REQUEST);
      const reader = response.body!.getReader();
      await reader.read();
      held.push(response, reader);
    }
    globalThis.gc?.();
    return (process.memoryUsage().heapUsed - before + 0 * held.length) / streams / 1024;
  };
  const plain = await perStream(streamOf(1e9));
  const tapped = await perStream(tapFetch(streamOf(1e9)));
  const kibibytes = tapped - plain;
  if (globalThis.gc === undefined) {
    return {
      name: 'an open stream',
      value: `${kibibytes.toFixed(1)} KiB`,
      against: 'without --expose-gc',
      bound: '',
    };
  }
  return rowOf('an open stream', kibibytes, 'KiB', 2, { digits: 1 });
}

export const instrument: Bench = {
  question: 'What does it cost to see calls of models as they pass?',
  not: 'the network, an SDK’s own work, a loaded service',
  async rows(scale) {
    const crucible = new Crucible({ workers: 0 });
    const idle = idleRow(scale);
    crucible.startExperiment({ name: 'calls', capacity: 1 << 16, columns: LLM_COLUMNS, prefault: true });
    let ends = 0;
    telemetry.attach('bench:ends', 'req_llm.request.stop', (_event, _measurements, { outcome }) => {
      if (outcome === 'ok') ends++;
    });
    try {
      return [...(await tapRows(scale, () => ends)), ...(await spanRows(scale)), idle, await openRow(scale)];
    } finally {
      telemetry.detach('bench:ends');
      await crucible.close();
    }
  },
};
