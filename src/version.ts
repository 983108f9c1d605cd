/** The package's version, as its package.json says. */
export { VERSION } from '../generated/version.js';
