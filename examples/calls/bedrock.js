// Bedrock by fetch. For real: https://bedrock-runtime.us-east-1.amazonaws.com, and its API key in the header.
import { url } from './service.js';

const response = await fetch(`${url}/model/anthropic.claude-3-haiku-20240307-v1:0/converse`, {
  method: 'POST',
  headers: { authorization: 'Bearer none', 'content-type': 'application/json' },
  body: JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Say hello' }] }] }),
});
const { output } = await response.json();
console.log(output.message.content[0].text);
