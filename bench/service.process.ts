/** A service as many are: it answers by itself, or with what a model has said. Tells its parent its port. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const MODEL = `http://127.0.0.1:${process.env.MODEL_PORT}/v1/chat/completions`;
const BODY = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Say hello.' }] });
const HEADERS = { 'content-type': 'application/json', authorization: 'Bearer none' };

interface Answer {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
}

async function said(): Promise<string> {
  const response = await fetch(MODEL, { method: 'POST', headers: HEADERS, body: BODY });
  const { choices } = (await response.json()) as Answer;
  return choices[0]?.message.content ?? '';
}

const server = createServer((request, response) => {
  const answer = (content: string) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ content }));
  };
  if (request.url !== '/model') answer('Hello');
  else
    said().then(answer, () => {
      response.statusCode = 502;
      response.end();
    });
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
