export { copy } from './bytes';
export * from './layout';
export { publish, publishWritten, replay } from './publish';
export { claim, release, seal } from './ring';
