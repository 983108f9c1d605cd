// Spans of OpenInference (Phoenix, Arize).
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { CrucibleSpanProcessor } from 'crucible-telemetry/otel';

const provider = new BasicTracerProvider({ spanProcessors: [new CrucibleSpanProcessor()] });
const span = provider.getTracer('example').startSpan('ChatCompletion');
span.setAttributes({
  'openinference.span.kind': 'LLM',
  'llm.provider': 'openai',
  'llm.model_name': 'gpt-4',
  'llm.token_count.prompt': 2,
  'llm.token_count.completion': 2,
});
span.end();
console.log('one span');
