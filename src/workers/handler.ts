/** What the pool calls the function that answers its requests. It is no file: the threads' program knows the name. */
export const ANALYSIS_HANDLER = '/crucible-telemetry/analysis';
