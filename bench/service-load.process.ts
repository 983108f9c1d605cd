/**
 * The load on two services in turn, and the model that they call. A process of its own; tells its parent the model's
 * port, takes a `LoadJob` at a time, and answers with a `LoadResult`.
 */
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LoadJob {
  /** Of the first service and the second. */
  readonly ports: readonly [number, number];
  readonly path: string;
  readonly pairs: number;
  readonly roundMs: number;
  /** Each makes its next request when the last one is answered. */
  readonly connections: number;
}

export interface Round {
  readonly requestsPerS: number;
  readonly p99Ms: number;
}

export interface LoadResult {
  /** Of the first service and the second. */
  readonly rounds: readonly (readonly [Round, Round])[];
  /** All that the second has answered, those before the first pair included. */
  readonly requestsOfSecond: number;
}

const ANSWER = JSON.stringify({
  ...{ id: 'chatcmpl-1', object: 'chat.completion', model: 'gpt-4o-2024-08-06' },
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
});

const model = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(ANSWER);
  });
});

function ask(agent: Agent, port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ agent, port, path, host: '127.0.0.1' }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`status ${response.statusCode}`));
      });
    }).on('error', reject);
  });
}

/** @returns the latencies of a round's requests, ms */
async function round(agent: Agent, port: number, { path, roundMs, connections }: LoadJob): Promise<number[]> {
  const latencies: number[] = [];
  const endMs = performance.now() + roundMs;
  const connection = async () => {
    while (performance.now() < endMs) {
      const startMs = performance.now();
      await ask(agent, port, path);
      latencies.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  return latencies;
}

async function run(job: LoadJob): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: job.connections });
  let requestsOfSecond = 0;
  const measured = async (service: 0 | 1): Promise<Round> => {
    const startMs = performance.now();
    const latencies = await round(agent, job.ports[service], job);
    const seconds = (performance.now() - startMs) / 1000;
    if (service === 1) requestsOfSecond += latencies.length;
    latencies.sort((a, b) => a - b);
    return {
      requestsPerS: latencies.length / seconds,
      p99Ms: latencies[Math.floor(latencies.length * 0.99)] as number,
    };
  };
  // Until both are compiled.
  for (let i = 0; i < 4; i++) for (const service of [0, 1] as const) await measured(service);
  const rounds: [Round, Round][] = [];
  for (let pair = 0; pair < job.pairs; pair++) {
    if (pair % 2 === 0) {
      const first = await measured(0);
      rounds.push([first, await measured(1)]);
    } else {
      const second = await measured(1);
      rounds.push([await measured(0), second]);
    }
  }
  agent.destroy();
  return { rounds, requestsOfSecond };
}

process.on('message', (job: LoadJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      throw error;
    },
  );
});
process.on('disconnect', () => process.exit());
model.listen(0, '127.0.0.1', () => process.send?.({ modelPort: (model.address() as AddressInfo).port }));
