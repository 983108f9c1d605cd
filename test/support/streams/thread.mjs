/**
 * A thread in the place of one that encodes exports. What a stream is to do is its format: `fine` gives three chunks of one
 * byte, the stream's number; `exit` ends the thread at the second; `silent` gives nothing.
 */
import { parentPort } from 'node:worker_threads';

const streams = new Map();
parentPort.on('message', (order) => {
  if (order === null) {
    parentPort.close();
  } else if (order.begin) {
    streams.set(order.stream, { kind: order.begin.task.format, given: 0 });
  } else if (order.end) {
    streams.delete(order.stream);
  } else {
    const stream = streams.get(order.stream);
    if (stream.kind === 'silent') return;
    if (stream.kind === 'exit' && stream.given === 1) process.exit(3);
    if (stream.given++ === 3) parentPort.postMessage({ stream: order.stream, done: true, damaged: [] });
    else parentPort.postMessage({ stream: order.stream, chunk: Uint8Array.of(order.stream) });
  }
});
