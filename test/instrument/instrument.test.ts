import { expect, it } from 'vitest';
import { ConfigError, type Crucible, instrument } from '../../src/index.js';

it.each([5, {}, null, 'data'])('what is neither a Crucible nor an experiment is refused: %s', (target) => {
  expect(() => instrument(target as unknown as Crucible)).toThrow(ConfigError);
});
