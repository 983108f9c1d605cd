/**
 * What does recording one model call cost the calling thread, here and with others?
 *
 * A call has a latency, a cost, two token counts, a success, and one of 16 combinations of event, model and
 * provider. Each peer is used as its documentation says, and stores as much of the call as it can hold; what
 * it keeps is said with its figure, for they do not all do the same job. HdrHistogram takes the latency only.
 *
 * Not measured: reading back, exporting, what happens on other threads, what it costs in memory (see
 * peers-memory). Rounds are synchronous, so what a peer leaves to the event loop is done for it every 2,048
 * events and counted: the hand-over of spans to an exporter that ignores them, the write of log lines to
 * /dev/null. Garbage is collected inside the rounds; the best round has had the least of it.
 */
import { Crucible } from '../src/index.js';
import { type Bench, nsText, type Row, type Scale, time } from './harness.js';
import { hdrHistogram, otelMetrics, promClient, promClientChildren } from './peers/aggregates.js';
import type { Peer } from './peers/calls.js';
import { arrayOfObjects, jsonLines, otelSpans, pinoLog } from './peers/events.js';
import { capture, record, recordAt } from './peers/ours.js';

/** The first is what the others are compared with. */
async function peersOf(crucible: Crucible, quick: number): Promise<Peer[]> {
  const slow = quick >> 5;
  return [
    recordAt(crucible, quick),
    record(crucible, quick),
    capture(crucible, slow),
    await hdrHistogram('JS', quick >> 2),
    await hdrHistogram('wasm', quick >> 2),
    promClient(slow),
    promClientChildren(slow),
    otelMetrics(slow),
    otelSpans(slow),
    await pinoLog(slow),
    arrayOfObjects(quick >> 2),
    jsonLines(slow),
  ];
}

export const peers: Bench = {
  question: 'What does recording one model call cost the calling thread, here and with others?',
  not: 'reading, export, other threads, memory; peers keep different things',
  async rows(scale: Scale) {
    await using crucible = new Crucible();
    const list = await peersOf(crucible, scale.operations);
    try {
      const timings = time(
        list.map(({ candidate }) => candidate),
        scale,
      );
      return timings.map(
        ({ name, ns }, i): Row => ({
          name,
          value: nsText(ns),
          against: `${(ns / timings[0].ns).toFixed(2)} × recordAt, keeps ${list[i].keeps}`,
          bound: '',
        }),
      );
    } finally {
      for (const peer of list) await peer.close?.();
    }
  },
};
