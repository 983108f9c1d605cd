/**
 * Many export streams of one experiment in a process of their own: `child.mjs MODE FORMAT STREAMS ROWS [IDLE_MS]`. Prints what
 * it saw as one line of JSON.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible } from 'crucible-telemetry';

const [mode, format, streamCount, rowCount, idleMs = '0'] = process.argv.slice(2);
const count = Number(streamCount);
const rows = Number(rowCount);
const options = { idleTimeoutMs: Number(idleMs) };

const status = (name) =>
  Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]);
const residentMb = () => status('VmRSS') / 1024;
const threads = () => status('Threads');

const crucible = new Crucible({ workers: 2 });
const experiment = crucible.startExperiment({ name: 'streamed', capacity: rows });
const recorders = Array.from({ length: 8 }, (_, i) => experiment.recorder('e', { model: `model-${i}` }));
for (let i = 0; i < rows; i++)
  recorders[i % 8].recordAt(1.7e15 + i, i / 7, 0.001 * i, i % 100, 3, i % 5 !== 0);

async function digest(chunks) {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/** The clients each read a little and vanish. */
async function clientsThatVanish(handler) {
  const server = http.createServer(handler).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  const client = () =>
    new Promise((resolve) => {
      const request = http.get({ host: '127.0.0.1', port, agent: false }, (response) => {
        response.on('error', () => {});
        response.once('data', () => {
          response.destroy();
          resolve();
        });
      });
      request.on('error', () => {});
    });
  await Promise.all(Array.from({ length: count }, client));
  server.close();
  server.closeAllConnections();
}

const seen = { threadsBefore: threads() };
// The code of threads and encoders, once.
const whole = await digest(experiment.exportStream(format));
seen.threadsBefore = threads();
seen.residentBeforeMb = residentMb();

switch (mode) {
  case 'unread': {
    const unread = Array.from({ length: count }, () => experiment.exportStream(format));
    await sleep(50);
    seen.threads = threads();
    seen.residentMb = residentMb();
    seen.open = unread.filter((stream) => !stream.destroyed).length;
    break;
  }
  case 'in turn': {
    // No stream is read on before all others have been: whoever waited for another one to end would wait for ever.
    const streams = Array.from({ length: count }, () => experiment.exportStream(format));
    const readers = streams.map((stream) => ({
      chunks: stream[Symbol.asyncIterator](),
      hash: createHash('sha256'),
    }));
    let going = readers;
    for (let round = 0; going.length > 0; round++) {
      const left = [];
      for (const reader of going) {
        const { value, done } = await reader.chunks.next();
        if (!done) {
          reader.hash.update(value);
          left.push(reader);
        }
      }
      if (round === 0) {
        seen.threads = threads();
        seen.residentMb = residentMb();
      }
      going = left;
    }
    seen.wrong = readers.filter(({ hash }) => hash.digest('hex') !== whole).length;
    break;
  }
  case 'vanish': {
    const streams = [];
    await clientsThatVanish((_, response) => {
      const stream = experiment.exportStream(format, options);
      streams.push(stream);
      stream.pipe(response);
    });
    seen.threads = threads();
    seen.residentMb = residentMb();
    if (options.idleTimeoutMs > 0) {
      while (!streams.every((stream) => stream.closed)) await sleep(10);
      seen.codes = [...new Set(streams.map(({ errored }) => errored?.code))];
    }
    seen.works = (await digest(experiment.exportStream(format))) === whole;
    break;
  }
  case 'vanish, then close': {
    const streams = [];
    await clientsThatVanish((_, response) => {
      const stream = experiment.exportStream(format, options);
      streams.push(stream);
      stream.pipe(response);
    });
    await crucible.close();
    seen.threads = threads();
    seen.codes = [...new Set(streams.map(({ errored }) => errored?.code))];
    break;
  }
}
process.on('exit', () => process.stdout.write(`${JSON.stringify(seen)}\n`));
