export { copy } from './bytes';
export * from './layout';
export { sumAndRange, sumSquares } from './moments';
export { publish, publishWritten, replay } from './publish';
export { claim, release, seal } from './ring';
export { countBindings, foldRows, keepValues, pickRows } from './scan';
export { countKeys, gatherKeys, gatherMarked, selectRank, sortBins } from './select';
export { writeNumber } from './text-number';
export { writeRows } from './text-rows';
