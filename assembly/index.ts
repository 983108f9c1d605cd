export { copy } from './bytes';
export * from './layout';
export { sumAndRange, sumSquares } from './moments';
export { publish, publishWritten, replay } from './publish';
export { claim, release, seal } from './ring';
export { countKeys, gatherKeys, gatherMarked, selectRank } from './select';
