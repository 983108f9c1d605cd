/** The server: what it answers and whom, through HTTP as anybody would ask it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, Crucible, type Experiment, type ServeHandle, telemetry } from '../../src/index.js';

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** With headers of one's own, which fetch would not send. */
function ask(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

interface FeedMessage {
  readonly event: string;
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: what the page reads
  readonly data: any;
}

/** Messages of a feed, until enough have come. */
async function feed(
  url: string,
  enough: (messages: readonly FeedMessage[]) => boolean,
  headers: Record<string, string> = {},
): Promise<FeedMessage[]> {
  const ended = new AbortController();
  const response = await fetch(url, { signal: ended.signal, headers });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const messages: FeedMessage[] = [];
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = parts.pop() as string;
    for (const part of parts) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(part)?.[1] ?? '';
      if (field('event') === '') continue;
      messages.push({ event: field('event'), id: field('id'), data: JSON.parse(field('data')) });
    }
    if (enough(messages)) break;
  }
  ended.abort();
  return messages;
}

let crucible: Crucible;
let serving: ServeHandle;
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
});
afterEach(async () => {
  await crucible.close();
});

function filled(name: string, events = 3_000): Experiment {
  const experiment = crucible.startExperiment({ name, columns: { ttftMs: 'f64' } });
  const recorder = experiment.recorder('req_llm.request.stop', { model: 'm-1', provider: 'p' });
  for (let i = 0; i < events; i++) recorder.record(1 + (i % 997), 0.001, 10, 5, i % 10 !== 0);
  return experiment;
}

describe('what it serves', () => {
  it('is a page of its own files, small, which the browser is told to keep to itself', async () => {
    serving = await crucible.serve({ port: 0 });
    const page = await ask(serving.url);
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.headers['x-content-type-options']).toBe('nosniff');
    const files = [...page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path as string);
    expect(files).toEqual(expect.arrayContaining(['/app.js', '/style.css', '/icon.svg']));
    const answers = await Promise.all(files.map((path) => ask(new URL(path, serving.url).href)));
    expect(answers.map(({ status }) => status)).toEqual(files.map(() => 200));
    const bytes = [page, ...answers].reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
    expect(bytes).toBeLessThan(150_000);
    const [first] = answers;
    const again = await ask(new URL(files[0] as string, serving.url).href, {
      'If-None-Match': String(first?.headers.etag),
    });
    expect(again.status).toBe(304);
  });

  it('tells figures of a running experiment that equal those of the API', async () => {
    const experiment = filled('equal');
    serving = await crucible.serve({ port: 0 });
    const [state] = await feed(`${serving.url}api/feed?id=${experiment.id}`, ({ length }) => length > 0);
    const streaming = experiment.streamingMetrics();
    expect(state?.event).toBe('state');
    const { figures, series, descriptor } = (state as FeedMessage).data;
    expect(descriptor).toMatchObject({ name: 'equal', status: 'running', source: 'process' });
    const { latency, cost, reliability, tokens } = JSON.parse(JSON.stringify(streaming));
    expect(figures.group).toEqual({ count: streaming.count, latency, cost, reliability, tokens });
    expect(figures.kind).toBe('req_llm.request');
    const inSeries = series.points.reduce((sum: number, point: number[]) => sum + (point[1] as number), 0);
    expect(inSeries).toBe(3_000);
    const inBins = figures.latencyBins.reduce((sum: number, bin: number[]) => sum + (bin[2] as number), 0);
    expect(inBins).toBe(3_000);
    const exact = JSON.parse((await ask(`${serving.url}api/experiments/${experiment.id}/metrics`)).body);
    expect(exact.metrics.latency).toEqual((await experiment.metrics()).latency);
  });

  it('sends what is new while events arrive, and nothing twice to who comes back', async () => {
    const experiment = filled('live', 100);
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'm-1', provider: 'p' });
    serving = await crucible.serve({ port: 0 });
    const url = `${serving.url}api/feed?id=${experiment.id}`;
    const writing = setInterval(() => recorder.record(7, 0.001, 1, 1, true), 20);
    const messages = await feed(url, (all) => all.filter(({ event }) => event === 'delta').length >= 3);
    const counts = messages.map(({ data }) => data.figures.group.count as number);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(counts.at(-1)).toBeGreaterThan(counts[0] as number);
    const seen = messages.at(-1) as FeedMessage;
    const later = await feed(url, ({ length }) => length >= 2, { 'Last-Event-ID': seen.id });
    clearInterval(writing);
    expect(later.map(({ event }) => event)).toEqual(['delta', 'delta']);
    const numberOf = (message: FeedMessage) => Number(message.id.split('.')[1]);
    expect(numberOf(later[0] as FeedMessage)).toBe(numberOf(seen) + 1);
    // Of another server, or from too long ago: everything anew.
    const [anew] = await feed(url, ({ length }) => length > 0, { 'Last-Event-ID': 'another.3' });
    expect(anew?.event).toBe('state');
  });

  it('tells of experiments that start, pause and stop', async () => {
    const experiment = filled('status', 10);
    serving = await crucible.serve({ port: 0 });
    const seen: string[] = [];
    setTimeout(() => experiment.pause(), 300);
    setTimeout(() => crucible.startExperiment({ name: 'later' }), 600);
    await feed(`${serving.url}api/feed`, (messages) => {
      seen.splice(
        0,
        seen.length,
        ...messages.flatMap(({ data }) =>
          data.experiments.map((each: { name: string; status: string }) => `${each.name} ${each.status}`),
        ),
      );
      return seen.includes('later running');
    });
    expect(seen).toEqual(expect.arrayContaining(['status running', 'status paused', 'later running']));
  });

  it('compares, lists calls by filters and finds what belongs to one', async () => {
    const a = filled('a');
    const b = filled('b');
    a.capture(
      'req_llm.request.stop',
      { latencyMs: 5 },
      { model: 'other', correlation_id: 'c1', session_id: 's1' },
    );
    a.capture('tool.call.stop', { latencyMs: 2 }, { correlation_id: 'c1', session_id: 's1' });
    serving = await crucible.serve({ port: 0 });
    const api = `${serving.url}api`;
    const { comparison, quantiles, distributions } = JSON.parse(
      (await ask(`${api}/compare?id=${a.id}&id=${b.id}`)).body,
    );
    const own = await crucible.compare([a, b]);
    expect(comparison.treatments[0].metrics.latencyMean.difference).toBe(
      own.treatments[0]?.metrics.latencyMean?.difference,
    );
    expect(quantiles[0].points).toHaveLength(12);
    expect(distributions).toHaveLength(2);
    const filtered = JSON.parse((await ask(`${api}/experiments/${a.id}/calls?model=other`)).body);
    expect(filtered.events).toHaveLength(1);
    const id = filtered.events[0].eventId;
    const one = JSON.parse((await ask(`${api}/experiments/${a.id}/calls/${encodeURIComponent(id)}`)).body);
    expect(one.by).toBe('correlationId');
    expect(one.related.map((event: { eventName: string }) => event.eventName)).toEqual([
      'req_llm.request.stop',
      'tool.call.stop',
    ]);
    const { sessions } = JSON.parse((await ask(`${api}/experiments/${a.id}/sessions`)).body);
    expect(sessions).toMatchObject([{ session: 's1', events: 2 }]);
    const csv = await ask(`${api}/experiments/${a.id}/export?format=csv`);
    expect(csv.headers['content-disposition']).toBe(`attachment; filename="${a.id}.csv"`);
    expect(csv.body.trim().split('\n')).toHaveLength(3_003);
  });

  it("tells of studies without looking at their verdict, and a verdict as the study's own", async () => {
    const study = crucible.study({
      name: 'short & long',
      arms: { control: {}, treatment: {} },
      plan: { outcomes: [{ of: 'latencyMs', role: 'primary' }], sequential: true, unitsPerArm: 500 },
    });
    for (let unit = 0; unit < 400; unit++) {
      study.run(unit, () => telemetry.execute('call.stop', { latencyMs: 10 + (unit % 7) }, {}));
    }
    serving = await crucible.serve({ port: 0 });
    const api = `${serving.url}api/studies`;
    const told = JSON.parse((await ask(api)).body).studies;
    expect(told).toMatchObject([{ name: 'short & long', looks: [], planHash: study.planHash }]);
    const verdict = JSON.parse((await ask(`${api}/${encodeURIComponent('short & long')}/verdict`)).body);
    const own = await study.verdict();
    expect(verdict).toMatchObject({ decision: own.decision, arms: own.arms, plan: study.planHash });
    expect(study.looks()).toHaveLength(2);
    expect((await ask(`${api}/nobody/verdict`)).status).toBe(404);
  });

  it('keeps the primary outcome of each look, and shares a look of the last seconds', async () => {
    const study = crucible.study({
      name: 'looked at',
      arms: { control: {}, treatment: {} },
      plan: { outcomes: [{ of: 'latencyMs', role: 'primary' }], sequential: true },
    });
    for (let unit = 0; unit < 400; unit++) {
      study.run(unit, () => telemetry.execute('req_llm.request.stop', { latencyMs: 10 + (unit % 7) }, {}));
    }
    serving = await crucible.serve({ port: 0 });
    const url = `${serving.url}api/studies/looked%20at/verdict`;
    const shared = `${url}?withinMs=60000`;
    const first = JSON.parse((await ask(url)).body);
    const answers = await Promise.all([ask(shared), ask(shared), ask(shared)]);
    expect(answers.map(({ body }) => JSON.parse(body))).toEqual([first, first, first]);
    expect(study.looks()).toHaveLength(1);
    const second = JSON.parse((await ask(url)).body);
    expect(second.looks).toHaveLength(1);
    const [outcome] = Object.values(first.outcomes) as Record<string, unknown>[];
    expect(second.looks[0].primary).toMatchObject({
      treatment: 'treatment',
      unit: 'ms',
      difference: outcome?.difference,
      confidenceInterval: outcome?.confidenceInterval,
      pValue: outcome?.adjustedPValue ?? outcome?.pValue,
    });
  });

  it.each(['in memory', 'in a folder'])(
    'tells scores by judge and where judges disagree, %s',
    async (place) => {
      const dir = place === 'in memory' ? undefined : mkdtempSync(join(tmpdir(), 'crucible-serve-'));
      const writer = dir === undefined ? crucible : new Crucible({ dir, workers: 0 });
      try {
        const experiment = writer.startExperiment({ name: 'scored' });
        for (let i = 0; i < 20; i++) {
          experiment.score({ sampleId: i }, 'good', true, { by: 'people' });
          experiment.score({ sampleId: i }, 'good', i !== 3, { by: 'model', comment: '<b>no</b>' });
        }
        serving = await crucible.serve({ port: 0, ...(dir !== undefined && { dir }) });
        const { names } = JSON.parse(
          (await ask(`${serving.url}api/experiments/${experiment.id}/scores`)).body,
        );
        expect(names).toHaveLength(1);
        const [{ report, disagreements, arms, isCut }] = names;
        const own = experiment.judges('good');
        expect(report).toMatchObject({
          items: 20,
          judges: own.judges,
          pairs: [{ items: 20, agreement: 0.95, sensitivity: own.pairs[0]?.sensitivity }],
        });
        expect(disagreements).toMatchObject([{ id: '3', key: 'sampleId', spread: 1 }]);
        expect({ arms, isCut }).toEqual({ arms: [], isCut: false });
        expect((await ask(`${serving.url}api/experiments/nobody/scores`)).status).toBe(404);
      } finally {
        if (writer !== crucible) await writer.close();
        if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
      }
    },
  );

  it("tells a study's scores by arm, the same sample of two experiments as two things", async () => {
    const study = crucible.study({ name: 'judged', arms: { control: {}, treatment: {} } });
    for (const [arm, value] of [
      ['control', 2],
      ['treatment', 4],
    ] as const) {
      const experiment = study.experiment(arm);
      for (let i = 0; i < 5; i++) {
        experiment.score({ sampleId: i }, 'quality', value, { by: 'a' });
        experiment.score({ sampleId: i }, 'quality', value + (i % 2), { by: 'b' });
      }
    }
    serving = await crucible.serve({ port: 0 });
    const { names } = JSON.parse((await ask(`${serving.url}api/studies/judged/scores`)).body);
    expect(names[0].report).toMatchObject({
      name: 'quality',
      items: 10,
      pairs: [{ items: 10, agreement: 0.6 }],
    });
    expect(names[0].arms).toEqual([
      { arm: 'control', by: 'a', scores: 5, mean: 2 },
      { arm: 'control', by: 'b', scores: 5, mean: expect.closeTo(2.4) },
      { arm: 'treatment', by: 'a', scores: 5, mean: 4 },
      { arm: 'treatment', by: 'b', scores: 5, mean: expect.closeTo(4.4) },
    ]);
    expect(names[0].disagreements).toHaveLength(4);
    expect((await ask(`${serving.url}api/studies/nobody/scores`)).status).toBe(404);
  });

  it('follows a folder that another Crucible writes', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'crucible-serve-'));
    const writer = new Crucible({ dir, workers: 0 });
    try {
      const experiment = writer.startExperiment({ name: 'elsewhere' });
      const recorder = experiment.recorder('req_llm.request.stop');
      for (let i = 0; i < 500; i++) recorder.record(3 + i, 0.01, 1, 1, true);
      await experiment.flush();
      serving = await crucible.serve({ port: 0, dir });
      const url = `${serving.url}api/feed?id=${experiment.id}`;
      const [first] = await feed(url, ({ length }) => length > 0);
      expect(first?.data.descriptor).toMatchObject({
        name: 'elsewhere',
        source: 'folder',
        heldBy: { pid: process.pid },
      });
      setTimeout(() => {
        for (let i = 0; i < 500; i++) recorder.record(3 + i, 0.01, 1, 1, false);
      }, 50);
      const messages = await feed(url, (all) => all.at(-1)?.data.figures.group.count === 1_000);
      const { figures } = (messages.at(-1) as FeedMessage).data;
      const { latency, cost, reliability, tokens } = JSON.parse(
        JSON.stringify(experiment.streamingMetrics()),
      );
      expect(figures.group).toMatchObject({ count: 1_000, reliability, tokens });
      expect(figures.group).toMatchObject({
        latency: { p50: latency.p50, p99: latency.p99, mean: expect.closeTo(latency.mean, 9) },
      });
      expect(figures.group).toMatchObject({ cost: { count: cost.count } });
      const { files } = JSON.parse((await ask(`${serving.url}api/experiments/${experiment.id}/files`)).body);
      expect(files.map((file: { name: string }) => file.name)).toContain('experiment.json');
    } finally {
      await writer.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('whom it answers', () => {
  it('refuses what would change something, bodies, other hosts and other origins', async () => {
    const experiment = filled('guarded', 10);
    serving = await crucible.serve({ port: 0 });
    const list = `${serving.url}api/experiments`;
    expect((await ask(list, {}, 'POST')).status).toBe(405);
    expect((await ask(list, {}, 'DELETE')).status).toBe(405);
    expect((await ask(list, { 'Content-Length': '3' })).status).toBe(413);
    expect((await ask(list, { Host: 'evil.example' })).status).toBe(421);
    expect((await ask(list, { Host: `127.0.0.1.evil.example:${new URL(serving.url).port}` })).status).toBe(
      421,
    );
    expect((await ask(list, { Origin: 'http://evil.example' })).status).toBe(403);
    expect((await ask(list, { Origin: 'null' })).status).toBe(403);
    expect((await ask(list, { 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403);
    expect((await ask(list, { Origin: serving.url.slice(0, -1) })).status).toBe(200);
    expect(
      (
        await ask(`${serving.url}api/experiments/${experiment.id}/export?format=csv`, {
          Origin: 'http://evil.example',
        })
      ).status,
    ).toBe(403);
    const refused = await ask(list, { Host: 'evil.example' });
    expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    expect(refused.body).not.toContain('guarded');
  });

  it.each([
    '/../../etc/passwd',
    '/..%2f..%2fetc%2fpasswd',
    '/api/experiments/..%2f..%2fetc/files',
    '/docs/../../package.json',
    '/__proto__',
    '/%00',
    '/%E0%A4%A',
  ])('finds nothing at %s', async (path) => {
    serving = await crucible.serve({ port: 0 });
    const { port } = new URL(serving.url);
    // As it is: a URL would be tidied up before it is sent.
    const text = await raw(
      Number(port),
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 (?:400|404) /);
    expect(text).not.toContain('root:');
  });

  it('says what is wrong with a question', async () => {
    serving = await crucible.serve({ port: 0 });
    const error = async (path: string) => JSON.parse((await ask(serving.url + path)).body).error.code;
    expect(await error('api/experiments/nobody/calls')).toBe('ERR_NOT_FOUND');
    expect(await error('api/compare?id=x')).toBe('ERR_NOT_FOUND');
    const experiment = filled('wrong', 5);
    await sleep(50);
    expect(await error(`api/experiments/${experiment.id}/calls?limit=many`)).toMatch(
      /ERR_(?:CONFIG_INVALID|NOT_FOUND)/,
    );
  });

  it('needs a token where more than this machine reaches it', async () => {
    await expect(crucible.serve({ port: 0, host: '0.0.0.0' })).rejects.toBeInstanceOf(ConfigError);
    await expect(crucible.serve({ port: 0, host: '0.0.0.0', token: 'short' })).rejects.toThrow(/16/);
    const token = 'a-secret-of-some-length';
    serving = await crucible.serve({ port: 0, host: '0.0.0.0', token });
    const list = `${serving.url}api/experiments`;
    expect((await ask(list)).status).toBe(401);
    expect((await ask(list, { Authorization: 'Bearer a-secret-of-some-lengtH' })).status).toBe(401);
    expect((await ask(`${serving.url}?token=wrong-token-of-length`)).status).toBe(401);
    expect((await ask(list, { Authorization: `Bearer ${token}` })).status).toBe(200);
    const entered = await ask(`${serving.url}?view=compare&token=${token}`);
    expect(entered.status).toBe(303);
    expect(entered.headers.location).toBe('/?view=compare');
    const [cookie] = entered.headers['set-cookie'] as string[];
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/);
    expect((await ask(list, { Cookie: (cookie as string).split(';')[0] as string })).status).toBe(200);
  });

  it('says that an address is taken when that very one was asked for, and finds another otherwise', async () => {
    serving = await crucible.serve({ port: 0 });
    const port = Number(new URL(serving.url).port);
    await expect(crucible.serve({ port })).rejects.toMatchObject({ code: 'ERR_SERVE_FAILED' });
    const [one, two] = await Promise.all([crucible.serve(), crucible.serve()]);
    expect(one.url).not.toBe(two.url);
  });

  it('holds a thousand connections, and takes another once one has gone', async () => {
    serving = await crucible.serve({ port: 0 });
    const port = Number(new URL(serving.url).port);
    const head = `GET /api/feed HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
    const held = await Promise.all(Array.from({ length: 1_000 }, () => streaming(port, head)));
    await expect(streaming(port, head)).rejects.toThrow();
    expect(held.every(({ socket }) => !socket.destroyed)).toBe(true);
    held[0]?.socket.destroy();
    const another = () =>
      streaming(port, head).then(
        ({ socket }) => socket.destroy().destroyed && 'held',
        () => 'refused',
      );
    await expect.poll(another, { timeout: 10_000 }).toBe('held');
    for (const { socket } of held) socket.destroy();
  });

  it('goes on for others while one viewer does not read', async () => {
    const experiment = filled('slow', 100);
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'm-1' });
    serving = await crucible.serve({ port: 0 });
    const port = Number(new URL(serving.url).port);
    const { socket } = await streaming(
      port,
      `GET /api/feed?id=${experiment.id} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
    );
    socket.pause();
    const writing = setInterval(() => recorder.record(7), 5);
    const messages = await feed(`${serving.url}api/feed?id=${experiment.id}`, ({ length }) => length >= 6);
    clearInterval(writing);
    socket.destroy();
    expect(messages.length).toBeGreaterThanOrEqual(6);
  });

  it('ends with its Crucible, and its port is free again', async () => {
    serving = await crucible.serve({ port: 0 });
    const { url } = serving;
    await crucible.close();
    await expect(ask(url)).rejects.toThrow(/ECONNREFUSED|socket hang up/);
    await expect(crucible.serve()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});

/** A connection that has begun to answer. */
function streaming(port: number, head: string): Promise<{ socket: Socket }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(head));
    socket.once('data', () => resolve({ socket }));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += String(chunk);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}
