/**
 * Calls by node:http2, as they end, and one by the real SDK of Bedrock: prints their outcomes as JSON. Run where the
 * package and the SDK are installed, by a Node that tells of HTTP/2.
 */
import { connect, createServer } from 'node:http2';
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
import { Crucible, instrument } from 'crucible-telemetry';

const ANSWER = {
  output: { message: { role: 'assistant', content: [{ text: 'Hello' }] } },
  stopReason: 'end_turn',
};
/** What the server does, by the model that is asked. */
const BEHAVIOURS = {
  fails: (_, response) => response.writeHead(503).end(),
  resets: (_, response) => response.stream.close(2),
  drops: (request) => request.stream.session.destroy(),
  waits: () => {},
  begins: (_, response) => response.write('x'),
};
const server = createServer((request, response) => {
  const [, , model] = request.url.split('/');
  const behave = BEHAVIOURS[model];
  if (behave !== undefined) return behave(request, response);
  response.setHeader('content-type', 'application/json');
  return response.end(JSON.stringify(ANSWER));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}`;

async function call(model, consume) {
  const session = connect(url).on('error', () => {});
  const stream = session
    .request({ ':path': `/model/${model}/converse`, ':method': 'POST' })
    .on('error', () => {});
  stream.end('{}');
  consume(stream);
  await new Promise((resolve) => stream.once('close', resolve));
  session.destroy();
}

const crucible = new Crucible();
instrument(crucible);
const experiment = crucible.startExperiment({ name: 'http2' });
const read = (stream) => stream.resume();
await call('answers', read);
await call('fails', read);
await call('resets', read);
await call('drops', read);
await call('waits', (stream) => setImmediate(() => stream.destroy()));
await call('begins', (stream) => stream.once('data', () => stream.destroy()));
const client = new BedrockRuntimeClient({
  ...{ endpoint: url, region: 'us-east-1', credentials: { accessKeyId: 'x', secretAccessKey: 'y' } },
});
const messages = [{ role: 'user', content: [{ text: 'Say hello' }] }];
await client.send(new ConverseCommand({ modelId: 'anthropic.claude', messages }));
client.destroy();
await experiment.stop();
const rows = await experiment.query();
const ends = rows.filter(({ eventName }) => !eventName.endsWith('.start'));
console.log(
  JSON.stringify(ends.map(({ model, metadata }) => [model, metadata.outcome, metadata.error ?? null])),
);
await crucible.close();
server.close();
