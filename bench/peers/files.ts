/** Peers that keep events in a file: what each takes an event, until the last one is handed to the file system. */

import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

export interface FilePeer {
  readonly name: string;
  /** Keeps so many events in a file of its own. @returns once they are there */
  run(dir: string, events: number): Promise<void>;
}

const event = (i: number) => ({
  time: 1.7e12 + i,
  event: 'req_llm.request.stop',
  model: 'gpt-4',
  latencyMs: 100 + (i % 997),
  costUsd: 0.001 * (i % 13),
  promptTokens: 100,
  completionTokens: 50,
  success: true,
});

const appendedLines: FilePeer = {
  name: 'appendFileSync, a JSON line an event',
  async run(dir, events) {
    const path = join(dir, 'lines.jsonl');
    for (let i = 0; i < events; i++) appendFileSync(path, `${JSON.stringify(event(i))}\n`);
  },
};

const pinoToFile: FilePeer = {
  name: 'pino to a file, not synchronous',
  async run(dir, events) {
    const { default: pino } = await import('pino');
    const destination = pino.destination({ dest: join(dir, 'pino.log'), sync: false, minLength: 4096 });
    await once(destination, 'ready');
    const logger = pino({ base: null }, destination as unknown as Writable);
    for (let i = 0; i < events; i++) logger.info(event(i));
    destination.flushSync();
    destination.end();
  },
};

const duckdbAppender: FilePeer = {
  name: 'DuckDB appender, row by row',
  async run(dir, events) {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const instance = await DuckDBInstance.create(join(dir, 'events.duckdb'));
    const connection = await instance.connect();
    await connection.run(
      'create table events (time double, event varchar, model varchar, latency double, cost double, prompt integer, completion integer, success boolean)',
    );
    const appender = await connection.createAppender('events');
    for (let i = 0; i < events; i++) {
      const { time, event: name, model, latencyMs, costUsd, promptTokens, completionTokens } = event(i);
      appender.appendDouble(time);
      appender.appendVarchar(name);
      appender.appendVarchar(model);
      appender.appendDouble(latencyMs);
      appender.appendDouble(costUsd);
      appender.appendInteger(promptTokens);
      appender.appendInteger(completionTokens);
      appender.appendBoolean(true);
      appender.endRow();
    }
    appender.closeSync();
    connection.closeSync();
    instance.closeSync();
  },
};

export const filePeers: readonly FilePeer[] = [appendedLines, pinoToFile, duckdbAppender];
