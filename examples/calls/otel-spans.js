// Spans of OpenTelemetry that others make of calls, by the conventions for generative AI.
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { CrucibleSpanProcessor } from 'crucible-telemetry/otel';

const provider = new BasicTracerProvider({ spanProcessors: [new CrucibleSpanProcessor()] });
const span = provider.getTracer('example').startSpan('chat gpt-4');
span.setAttributes({
  'gen_ai.operation.name': 'chat',
  'gen_ai.provider.name': 'openai',
  'gen_ai.request.model': 'gpt-4',
  'gen_ai.usage.input_tokens': 2,
  'gen_ai.usage.output_tokens': 2,
});
span.end();
console.log('one span');
