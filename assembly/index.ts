export { copy } from './bytes';
export * from './layout';
export { publish } from './publish';
export { claim, release, seal, written } from './ring';
