// Anthropic, streamed; input tokens include what the cache had. With a key: new Anthropic().
import Anthropic from '@anthropic-ai/sdk';
import { url } from './service.js';

const anthropic = new Anthropic({ baseURL: url, apiKey: 'none' });
const stream = anthropic.messages.stream({
  ...{ model: 'claude-3-opus', max_tokens: 100 },
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(await stream.finalText());
