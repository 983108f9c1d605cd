/** `crucible-telemetry/otel`: to and from OpenTelemetry. */
export {
  CrucibleSpanProcessor,
  type CrucibleSpanProcessorOptions,
  type EndedSpan,
} from '../instrument/span-processor.js';
export { type CollectionResult, CrucibleMetricProducer } from './otel-metrics.js';
export { OtlpExporter, type OtlpOptions } from './otlp.js';
