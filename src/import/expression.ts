/**
 * The small language of import mappings: text to a tree. Nothing is ever evaluated as JavaScript.
 *
 * ```
 * expression := or ('?' expression ':' expression)?
 * or   := and ('||' and)*              and  := equal ('&&' equal)*
 * equal := order (('==' | '!=') order)*   order := sum (('<' | '<=' | '>' | '>=') sum)*
 * sum  := product (('+' | '-') product)*  product := unary (('*' | '/' | '%') unary)*
 * unary := ('-' | '+' | '!') unary | primary
 * primary := number | 'text' | null | true | false | column | function '(' … ')' | '(' expression ')'
 * ```
 * A column is a bare name (letters, digits, `_`, `$`; dots reach into nested objects: `usage.input_tokens`), or
 * any name in double quotes or backticks, taken literally. A quote inside quotes is written twice.
 */

import { ConfigError } from '../errors.js';
import type { Json } from '../schema/event.js';

export type Operator = '+' | '-' | '*' | '/' | '%' | '==' | '!=' | '<' | '<=' | '>' | '>=' | '&&' | '||';

export type Expression =
  | { readonly kind: 'literal'; readonly value: Json }
  | {
      readonly kind: 'column';
      readonly name: string;
      /** Steps into nested objects for a dotted bare name; the literal name is tried first. */
      readonly path: readonly string[];
      readonly position: number;
    }
  | { readonly kind: 'unary'; readonly operator: '-' | '+' | '!'; readonly operand: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: Operator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'conditional';
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression;
    }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly args: readonly Expression[] };

/** Functions and how many arguments each takes, [least, most]. */
export const FUNCTION_ARITY = {
  number: [1, 1],
  string: [1, 1],
  lower: [1, 1],
  upper: [1, 1],
  trim: [1, 1],
  concat: [1, Number.POSITIVE_INFINITY],
  round: [1, 2],
  floor: [1, 1],
  abs: [1, 1],
  coalesce: [1, Number.POSITIVE_INFINITY],
  if: [2, 3],
  epoch: [1, 2],
  parseTime: [1, 2],
} as const satisfies Record<string, readonly [number, number]>;

export type FunctionName = keyof typeof FUNCTION_ARITY;

const MAX_DEPTH = 100;

/** Left-associative levels, loosest first. */
const LEVELS: readonly (readonly Operator[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<', '<=', '>', '>='],
  ['+', '-'],
  ['*', '/', '%'],
];

const TOKEN =
  /\s*(?:(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>[\p{L}_$][\p{L}\p{N}_$]*(?:\.[\p{L}\p{N}_$]+)*)|'(?<text>(?:[^']|'')*)'|"(?<double>(?:[^"]|"")*)"|`(?<back>(?:[^`]|``)*)`|(?<symbol>==|!=|<=|>=|&&|\|\||[-+*/%()<>!?:,]))/uy;

interface Token {
  readonly kind: 'number' | 'name' | 'text' | 'column' | 'symbol' | 'end';
  readonly text: string;
  /** Offset in the expression, from 0. */
  readonly position: number;
}

/**
 * @param path - what an error names, such as `map.latencyMs`
 * @throws ConfigError naming the expression and the position (from 1) of what does not fit
 */
export function parseExpression(source: string, path: string): Expression {
  const tokens = tokenize(source, path);
  let next = 0;
  let depth = 0;

  const peek = () => tokens[next]!;
  const fail = (expected: string, token: Token): never => {
    const found = token.kind === 'end' ? 'the end' : token.text;
    throw new ConfigError(path, `${expected} at position ${token.position + 1} of ${source}`, found);
  };
  const accept = (symbol: string): boolean => {
    const token = peek();
    if (token.kind !== 'symbol' || token.text !== symbol) return false;
    next += 1;
    return true;
  };
  const expect = (symbol: string): void => {
    if (!accept(symbol)) fail(`"${symbol}"`, peek());
  };

  function expression(): Expression {
    depth += 1;
    if (depth > MAX_DEPTH) fail(`at most ${MAX_DEPTH} levels of nesting`, peek());
    const test = level(0);
    let result = test;
    if (accept('?')) {
      const then = expression();
      expect(':');
      result = { kind: 'conditional', test, then, otherwise: expression() };
    }
    depth -= 1;
    return result;
  }

  function level(index: number): Expression {
    const operators = LEVELS[index];
    if (operators === undefined) return unary();
    let left = level(index + 1);
    for (;;) {
      const operator = operators.find((candidate) => accept(candidate));
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: level(index + 1) };
    }
  }

  function unary(): Expression {
    const operator = (['-', '+', '!'] as const).find((candidate) => accept(candidate));
    if (operator === undefined) return primary();
    depth += 1;
    if (depth > MAX_DEPTH) fail(`at most ${MAX_DEPTH} levels of nesting`, peek());
    const operand = unary();
    depth -= 1;
    return { kind: 'unary', operator, operand };
  }

  function primary(): Expression {
    if (accept('(')) {
      const inner = expression();
      expect(')');
      return inner;
    }
    const token = peek();
    next += 1;
    switch (token.kind) {
      case 'number':
        return { kind: 'literal', value: Number(token.text) };
      case 'text':
        return { kind: 'literal', value: token.text };
      case 'column':
        return { kind: 'column', name: token.text, path: [], position: token.position };
      case 'name':
        return name(token);
      default:
        return fail('a value, a column or "("', token);
    }
  }

  function name(token: Token): Expression {
    if (accept('(')) return call(token);
    if (token.text === 'null') return { kind: 'literal', value: null };
    if (token.text === 'true' || token.text === 'false') {
      return { kind: 'literal', value: token.text === 'true' };
    }
    const path = token.text.includes('.') ? token.text.split('.') : [];
    return { kind: 'column', name: token.text, path, position: token.position };
  }

  function call(token: Token): Expression {
    if (!Object.hasOwn(FUNCTION_ARITY, token.text)) {
      fail(`one of the functions ${Object.keys(FUNCTION_ARITY).join(', ')}`, token);
    }
    const called = token.text as FunctionName;
    const args: Expression[] = [];
    if (!accept(')')) {
      do args.push(expression());
      while (accept(','));
      expect(')');
    }
    const [least, most] = FUNCTION_ARITY[called];
    if (args.length < least || args.length > most) {
      const count = least === most ? `${least}` : `${least} to ${most}`;
      throw new ConfigError(
        path,
        `${count} arguments for ${called} at position ${token.position + 1} of ${source}`,
        args.length,
      );
    }
    return { kind: 'call', name: called, args };
  }

  const result = expression();
  if (peek().kind !== 'end') fail('an operator or the end', peek());
  return result;
}

/** Every column an expression mentions, in order of appearance. */
export function columnsOf(node: Expression): Extract<Expression, { kind: 'column' }>[] {
  switch (node.kind) {
    case 'literal':
      return [];
    case 'column':
      return [node];
    case 'unary':
      return columnsOf(node.operand);
    case 'binary':
      return [...columnsOf(node.left), ...columnsOf(node.right)];
    case 'conditional':
      return [...columnsOf(node.test), ...columnsOf(node.then), ...columnsOf(node.otherwise)];
    case 'call':
      return node.args.flatMap(columnsOf);
  }
}

/** True when the expression reads a time itself, so that its value is in µs since the epoch already. */
export function readsTime(node: Expression): boolean {
  switch (node.kind) {
    case 'literal':
    case 'column':
      return false;
    case 'unary':
      return readsTime(node.operand);
    case 'binary':
      return readsTime(node.left) || readsTime(node.right);
    case 'conditional':
      return readsTime(node.then) || readsTime(node.otherwise);
    case 'call':
      return node.name === 'epoch' || node.name === 'parseTime' || node.args.some(readsTime);
  }
}

function tokenize(source: string, path: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; ; at = TOKEN.lastIndex) {
    const rest = source.slice(at);
    const position = at + rest.length - rest.trimStart().length;
    if (position === source.length) {
      tokens.push({ kind: 'end', text: '', position });
      return tokens;
    }
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(source)?.groups;
    if (groups === undefined) {
      throw new ConfigError(
        path,
        `a value, column or operator at position ${position + 1} of ${source}`,
        source.slice(position, position + 10),
      );
    }
    const { number, name, text, double, back, symbol } = groups;
    if (number !== undefined) tokens.push({ kind: 'number', text: number, position });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name, position });
    else if (text !== undefined) tokens.push({ kind: 'text', text: text.replaceAll("''", "'"), position });
    else if (double !== undefined) {
      tokens.push({ kind: 'column', text: double.replaceAll('""', '"'), position });
    } else if (back !== undefined) {
      tokens.push({ kind: 'column', text: back.replaceAll('``', '`'), position });
    } else tokens.push({ kind: 'symbol', text: symbol!, position });
  }
}
