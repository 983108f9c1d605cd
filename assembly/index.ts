export { copy } from './bytes';
export * from './layout';
export { sumAndRange, sumSquares } from './moments';
export { publish, publishWritten, replay } from './publish';
export { claim, join, release, seal } from './ring';
export { countBindings, foldRows, keepValues, pickRows, splitPairs } from './scan';
export { writeNumber } from './text-number';
export { writeRows } from './text-rows';
export {
  countKeys,
  countShortKeys,
  gatherBands,
  gatherKeys,
  gatherMarked,
  selectInBand,
  selectRank,
  shortenKeys,
} from './select';
