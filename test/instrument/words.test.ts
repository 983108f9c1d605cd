/** What is said in requests and answers, by the shapes that providers document. */
import { describe, expect, it } from 'vitest';
import { messagesOf, ReplyWords } from '../../src/instrument/words.js';

const user = (content: string) => ({ role: 'user', content });

describe('the messages of a request', () => {
  it.each<[string, unknown, unknown]>([
    [
      'OpenAI, chat',
      {
        model: 'm',
        messages: [
          { role: 'developer', content: 'Be brief' },
          user('Hi'),
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'c', type: 'function', function: { name: 'weather', arguments: '{"a":1}' } }],
          },
          { role: 'tool', tool_call_id: 'c', content: 'rain' },
        ],
      },
      [
        { role: 'developer', content: 'Be brief' },
        user('Hi'),
        { role: 'assistant', content: 'weather({"a":1})' },
        { role: 'tool', content: 'rain' },
      ],
    ],
    [
      'OpenAI, with a picture',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What is it?' },
              { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            ],
          },
        ],
      },
      [user('What is it?\n[image_url]')],
    ],
    [
      'OpenAI, responses',
      {
        instructions: 'Be brief',
        input: [
          user('Hi'),
          { type: 'function_call', call_id: 'c', name: 'weather', arguments: '{}' },
          { type: 'function_call_output', call_id: 'c', output: 'rain' },
        ],
      },
      [{ role: 'system', content: 'Be brief' }, user('Hi'), user('weather({})'), user('rain')],
    ],
    ['OpenAI, responses of a text', { input: 'Hi' }, [user('Hi')]],
    ['embeddings of texts', { input: ['a', 'b'] }, [user('a'), user('b')]],
    ['embeddings of tokens', { input: [1, 2, 3] }, []],
    [
      'Anthropic',
      {
        system: [{ type: 'text', text: 'Be brief', cache_control: { type: 'ephemeral' } }],
        messages: [
          user('Hi'),
          { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'weather', input: { a: 1 } }] },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'rain' }] },
              { type: 'image', source: { type: 'base64', data: 'AAAA' } },
            ],
          },
        ],
      },
      [
        { role: 'system', content: 'Be brief' },
        user('Hi'),
        { role: 'assistant', content: 'weather({"a":1})' },
        user('rain\n[image]'),
      ],
    ],
    [
      'Google',
      {
        systemInstruction: { parts: [{ text: 'Be brief' }] },
        contents: [
          { role: 'user', parts: [{ text: 'Hi' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }] },
          { role: 'model', parts: [{ functionCall: { name: 'weather', args: { a: 1 } } }] },
          { role: 'user', parts: [{ functionResponse: { name: 'weather', response: { is: 'rain' } } }] },
        ],
      },
      [
        { role: 'system', content: 'Be brief' },
        user('Hi\n[inlineData]'),
        { role: 'model', content: 'weather({"a":1})' },
        user('{"is":"rain"}'),
      ],
    ],
    ['Google, parts without a role', { contents: [{ text: 'a' }, { text: 'b' }] }, [user('a\nb')]],
    [
      'Bedrock',
      { system: [{ text: 'Be brief' }], messages: [{ role: 'user', content: [{ text: 'Hi' }] }] },
      [{ role: 'system', content: 'Be brief' }, user('Hi')],
    ],
    [
      'Ollama, generate',
      { model: 'm', prompt: 'Hi', system: 'Be brief' },
      [{ role: 'system', content: 'Be brief' }, user('Hi')],
    ],
    ['a body as text', '{"messages":[{"role":"user","content":"Hi"}]}', [user('Hi')]],
    ['nothing that is said', { model: 'm' }, []],
  ])('%s', (_, request, messages) => {
    expect(messagesOf(request)).toEqual(messages);
  });
});

const chat = (delta: object, index = 0) => ({ choices: [{ index, delta }] });
const weather = { name: 'weather', arguments: '{"a":1}' };

describe('an answer', () => {
  it.each<[string, unknown[], string, object[]]>([
    [
      'OpenAI, chat',
      [{ choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' } }] }],
      'Hello',
      [],
    ],
    ['OpenAI, a refusal', [{ choices: [{ index: 0, message: { content: null, refusal: 'No' } }] }], 'No', []],
    ['OpenAI, completions', [{ choices: [{ index: 0, text: 'Hello' }] }], 'Hello', []],
    [
      'OpenAI, a stream of several answers',
      [
        chat({ role: 'assistant', content: '' }),
        chat({ content: 'Hel' }),
        chat({ content: 'X' }, 1),
        chat({ content: 'lo' }),
      ],
      'Hello',
      [],
    ],
    [
      'OpenAI, a stream of tools',
      [
        chat({ tool_calls: [{ index: 0, id: 'c', function: { name: 'weather', arguments: '' } }] }),
        chat({ tool_calls: [{ index: 0, function: { arguments: '{"a"' } }] }),
        chat({ tool_calls: [{ index: 0, function: { arguments: ':1}' } }] }),
        chat({ tool_calls: [{ index: 1, id: 'd', function: { name: 'time', arguments: '{}' } }] }),
      ],
      '',
      [weather, { name: 'time', arguments: '{}' }],
    ],
    [
      'OpenAI, responses',
      [
        {
          object: 'response',
          output: [
            { type: 'reasoning', summary: [] },
            { type: 'message', content: [{ type: 'output_text', text: 'Hello' }] },
            { type: 'function_call', ...weather },
          ],
        },
      ],
      'Hello',
      [weather],
    ],
    [
      'OpenAI, a stream of responses',
      [
        { type: 'response.created', response: { output: [] } },
        { type: 'response.output_text.delta', delta: 'Hel' },
        { type: 'response.output_text.delta', delta: 'lo' },
        { type: 'response.output_text.done', text: 'Hello' },
        { type: 'response.output_item.done', item: { content: [{ type: 'output_text', text: 'Hello' }] } },
        {
          type: 'response.completed',
          response: { output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hello' }] }] },
        },
      ],
      'Hello',
      [],
    ],
    [
      'OpenAI, responses that were cut short',
      [{ type: 'response.output_text.delta', delta: 'Hel' }],
      'Hel',
      [],
    ],
    [
      'Anthropic',
      [
        {
          type: 'message',
          content: [
            { type: 'thinking', thinking: 'hm' },
            { type: 'text', text: 'Hello' },
            { type: 'tool_use', id: 't', name: 'weather', input: { a: 1 } },
          ],
        },
      ],
      'Hello',
      [weather],
    ],
    [
      'Anthropic, a stream',
      [
        { type: 'message_start', message: { content: [] } },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } },
        {
          type: 'content_block_start',
          index: 1,
          content_block: { type: 'tool_use', name: 'weather', input: {} },
        },
        { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"a"' } },
        { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: ':1}' } },
        { type: 'message_delta', delta: { stop_reason: 'tool_use' } },
      ],
      'Hello',
      [weather],
    ],
    [
      'Google, a stream',
      [
        { candidates: [{ content: { parts: [{ text: 'hm', thought: true }, { text: 'Hel' }] } }] },
        {
          candidates: [
            { content: { parts: [{ text: 'lo' }, { functionCall: { name: 'weather', args: { a: 1 } } }] } },
          ],
        },
      ],
      'Hello',
      [weather],
    ],
    [
      'Bedrock',
      [
        {
          output: {
            message: { content: [{ text: 'Hello' }, { toolUse: { name: 'weather', input: { a: 1 } } }] },
          },
        },
      ],
      'Hello',
      [weather],
    ],
    [
      'Bedrock, a stream',
      [
        { contentBlockIndex: 0, delta: { text: 'Hello' } },
        { contentBlockIndex: 1, start: { toolUse: { toolUseId: 't', name: 'weather' } } },
        { contentBlockIndex: 1, delta: { toolUse: { input: '{"a":1}' } } },
      ],
      'Hello',
      [weather],
    ],
    ['Ollama', [{ message: { content: 'Hel' } }, { message: { content: 'lo' }, done: true }], 'Hello', []],
    ['Ollama, generate', [{ response: 'Hel' }, { response: 'lo', done: true }], 'Hello', []],
    ['Cohere', [{ message: { content: [{ type: 'text', text: 'Hello' }] } }], 'Hello', []],
    [
      'Cohere, a stream',
      [{ type: 'content-delta', index: 0, delta: { message: { content: { text: 'Hello' } } } }],
      'Hello',
      [],
    ],
    ['embeddings', [{ object: 'list', data: [{ embedding: [1] }] }], '', []],
  ])('%s', (_, messages, text, toolCalls) => {
    const words = new ReplyWords(1000);
    for (const message of messages) words.take(message);
    expect([words.text, words.toolCalls, words.isCut]).toEqual([text, toolCalls, false]);
  });

  it('is kept up to a length', () => {
    const words = new ReplyWords(8);
    for (const content of ['Hello', 'World', '!']) words.take(chat({ content }));
    expect([words.text, words.isCut]).toEqual(['Hello!', true]);
  });
});
