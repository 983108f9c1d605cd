// Mistral. With a key: new Mistral({ apiKey }).
import { Mistral } from '@mistralai/mistralai';
import { url } from './service.js';

const mistral = new Mistral({ serverURL: url, apiKey: 'none' });
const { choices } = await mistral.chat.complete({
  model: 'mistral-small-latest',
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(choices[0].message.content);
