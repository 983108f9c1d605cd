/** `crucible-telemetry/calls`: calls of models that are several calls. */
export { type Ensembled, type EnsembleMember, type EnsembleOptions, ensemble } from './ensemble.js';
export { type Hedged, type HedgeLeg, type HedgeOptions, hedge } from './hedge.js';
export { plurality, type Vote } from './vote.js';
