/**
 * How many bytes does a kept event take, here and with others?
 *
 * Each candidate keeps some events and then as many again; only what the second half adds counts, so that what
 * is paid once (dictionaries, sketches, compiled code) does not. Heap and external memory are read after full
 * collections. The ring is shared memory, which V8 counts in neither: for it the growth of the process's
 * resident memory other than the heap is read (pages touched, not those reserved), beside what its layout says.
 * That reading is coarse, and only good for many events.
 *
 * Not measured: metadata beyond the columns, what is reserved and never touched, garbage on the way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { Crucible } from '../../src/index.js';
import type { Bench, Row, Scale } from '../harness.js';
import { CALLS, completions, costs, LABELS, labels, latencies, prompts, successes } from './calls.js';
import { call, spanMaker } from './events.js';

/** What --expose-gc would give, without having to be started with it. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

type Meter = () => number;
const onHeap: Meter = () => process.memoryUsage().heapUsed + process.memoryUsage().external;
const offHeap: Meter = () => process.memoryUsage().rss - process.memoryUsage().heapTotal;

/** What a collection frees outside the heap goes a little later, and sometimes only with the next. */
async function settle(): Promise<void> {
  const collect = collector();
  for (let i = 0; i < 4; i++) {
    collect();
    await sleep(10);
  }
}

/** Bytes an event that the second `events` of 2 · `events` add. */
async function growth(events: number, read: Meter, keep: (from: number, to: number) => void) {
  keep(0, events);
  await settle();
  const before = read();
  keep(events, 2 * events);
  await settle();
  return (read() - before) / events;
}

const bytesText = (bytes: number) => `${bytes.toFixed(1)} B`;

async function ringRows(events: number): Promise<Row[]> {
  await using crucible = new Crucible();
  const experiment = crucible.startExperiment({ name: 'memory', capacity: 2 * events });
  const recorders = labels.map(({ event, model, provider }) =>
    experiment.recorder(event, { model, provider }),
  );
  const measured = await growth(events, offHeap, (from, to) => {
    for (let i = from; i < to; i++) {
      const c = i & (CALLS - 1);
      recorders[i & (LABELS - 1)].recordAt(
        1.7e15 + i,
        latencies[c],
        costs[c],
        prompts[c],
        completions[c],
        successes[c],
      );
    }
  });
  const { retained } = experiment.counts;
  const { blobOffsetBytes } = experiment.share().geometry;
  return [
    row('ring, columns by layout', blobOffsetBytes / CHUNK_ROWS, 'computed, not measured'),
    row('ring, measured', measured, `resident memory but the heap, ${retained} events retained`),
  ];
}

async function arrayRow(events: number): Promise<Row> {
  const kept: unknown[] = [];
  const bytes = await growth(events, onHeap, (from, to) => {
    for (let i = from; i < to; i++) kept.push(call(i));
  });
  return row('array of objects', bytes, `heap + external, ${kept.length} objects kept`);
}

async function spansRow(events: number): Promise<Row> {
  const kept: ReadableSpan[] = [];
  const { make, tracerProvider } = spanMaker({
    onStart() {},
    onEnd: (span) => kept.push(span),
    forceFlush: async () => {},
    shutdown: async () => {},
  });
  const bytes = await growth(events, onHeap, (from, to) => {
    for (let i = from; i < to; i++) make(i);
  });
  await tracerProvider.shutdown();
  return row('OpenTelemetry spans', bytes, `heap + external, ${kept.length} spans kept`);
}

function row(name: string, bytes: number, against: string): Row {
  return { name, value: bytesText(bytes), against, bound: '' };
}

export const peersMemory: Bench = {
  question: 'How many bytes does a kept event take, here and with others?',
  not: 'metadata beyond the columns, memory reserved and never touched, garbage on the way',
  async rows({ operations }: Scale) {
    return [
      ...(await ringRows(operations >> 1)),
      await arrayRow(operations >> 2),
      await spansRow(operations >> 4),
    ];
  },
};
