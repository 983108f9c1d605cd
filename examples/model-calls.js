// Calls of models by fetch, captured without a line in the code that makes them, and compared: which of two prompts costs less.
import { createServer } from 'node:http';
import { Crucible, instrument, LLM_COLUMNS } from 'crucible-telemetry';
import { prometheusText } from 'crucible-telemetry/prometheus';

/** Stands in for a provider: a prompt costs a token a word, and an answer always ten. */
const provider = createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  const { messages } = JSON.parse(text);
  const prompt_tokens = messages[0].content.split(' ').length;
  const usage = { prompt_tokens, completion_tokens: 10 + (prompt_tokens % 3) };
  response.setHeader('content-type', 'application/json');
  const choices = [{ message: { content: 'Hello' }, finish_reason: 'stop' }];
  response.end(JSON.stringify({ id: `chatcmpl-${Math.random()}`, model: 'gpt-4', choices, usage }));
});
await new Promise((resolve) => provider.listen(0, '127.0.0.1', () => resolve(null)));
const address = provider.address();
const port = typeof address === 'object' ? address?.port : 0;

/** Knows nothing of experiments. */
async function ask(content = '') {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'gpt-4', messages: [{ role: 'user', content }] }),
  });
  return response.json();
}

const crucible = new Crucible();
instrument(crucible);
const [long, short] = ['long', 'short'].map((name) =>
  crucible.startExperiment({ name, condition: name, columns: LLM_COLUMNS }),
);
for (let i = 0; i < 30; i++) {
  await long.run(() =>
    ask(`Please be so kind as to tell me, in a few words, what ${'number '.repeat(i % 5)}${i} is`),
  );
  await short.run(() => ask(`What ${'number '.repeat(i % 5)}${i} is`));
}

const { treatments } = await crucible.compare([long, short], {
  metrics: ['costMean'],
  event: 'req_llm.request.stop',
});
for (const { name, costDifferenceUsd } of treatments)
  console.log(`${name}: $${costDifferenceUsd?.toFixed(5)} in all`);
const total = prometheusText(crucible).match(/^crucible_tokens_total.*$/gm) ?? [];
console.log(`${total.length} series of tokens`);
await crucible.close();
provider.close();
