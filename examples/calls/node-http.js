// node:http: latency, status, and the model where the address has it.
import { once } from 'node:events';
import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import { url } from './service.js';

const sent = request(`${url}/model/anthropic.claude-3-haiku-20240307-v1:0/converse`, { method: 'POST' });
sent.end(JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Say hello' }] }] }));
const [response] = await once(sent, 'response');
const { output } = await json(response);
console.log(output.message.content[0].text);
