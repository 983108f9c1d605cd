// npm's undici: latency, status, and the model where the address has it.
import { request } from 'undici';
import { url } from './service.js';

const { body } = await request(`${url}/v1beta/models/gemini-2.0-flash-exp:generateContent`, {
  method: 'POST',
  body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'Say hello' }] }] }),
});
const { candidates } = await body.json();
console.log(candidates[0].content.parts[0].text);
