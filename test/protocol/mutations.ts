/** One item of valid CBOR, taken apart so that it can be written again in ways that no encoder would. */
interface Node {
  readonly type: number;
  /** The head's argument; for floats and simple values what stands in the head's first byte. */
  readonly argument: number;
  /** The item's bytes as they were. */
  readonly bytes: Uint8Array;
  readonly content: Uint8Array;
  readonly children: readonly Node[];
}

export interface Mutant {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const tags = [
  0, 1, 2, 3, 4, 6, 18, 24, 25, 28, 29, 37, 51, 64, 105, 256, 258, 259, 55_799, 57_337, 57_342,
  57_343,
];
const tooDeep = 33;

/**
 * Every way known here to write valid CBOR so that it means about the same and is not in the profile: tags, wider
 * heads, other float widths, key order, duplicate keys, depth, indefinite lengths, other simple values.
 */
export function mutantsOf(bytes: Uint8Array): Mutant[] {
  const root = nodeAt(bytes, 0);
  const mutants: Mutant[] = [{ name: "a trailing byte", bytes: concat(bytes, [0]) }];
  for (const node of within(root)) {
    for (const { name, bytes: instead } of variantsOf(node)) {
      mutants.push({
        name: `${name} at ${positionOf(bytes, node)}`,
        bytes: written(root, node, instead),
      });
    }
  }
  return mutants;
}

function* variantsOf(node: Node): Generator<Mutant> {
  const { type, argument, bytes, content, children } = node;
  for (const tag of tags) yield { name: `tag ${tag}`, bytes: concat(head(6, tag), bytes) };
  yield { name: "depth", bytes: concat(new Uint8Array(tooDeep).fill(0x81), bytes) };
  yield {
    name: "a map's depth",
    bytes: concat(...Array.from({ length: tooDeep }, () => [0xa1, 0x00]), bytes),
  };
  if (type < 7) {
    for (const width of widerThan(argument)) {
      yield {
        name: `a head of ${width} bytes`,
        bytes: concat(head(type, argument, width), bytes.subarray(headLength(argument))),
      };
    }
  }
  if (type < 2) {
    const value = type === 0 ? argument : -1 - argument;
    yield { name: "an integer as float64", bytes: float64(value) };
    if (Math.fround(value) === value)
      yield { name: "an integer as float32", bytes: float32(value) };
    if (value === 1)
      yield { name: "an integer as float16", bytes: Uint8Array.of(0xf9, 0x3c, 0x00) };
  }
  if (type === 2 || type === 3) {
    yield { name: "one chunk", bytes: concat([(type << 5) | 31], bytes, [0xff]) };
    yield { name: "no head of its length", bytes: concat([(type << 5) | 31], content, [0xff]) };
  }
  if (type === 4 || type === 5) {
    const items = children.map((child) => child.bytes);
    yield { name: "an indefinite length", bytes: concat([(type << 5) | 31], ...items, [0xff]) };
    yield { name: "a length one too long", bytes: concat(head(type, argument + 1), ...items) };
    yield {
      name: "a break at the end",
      bytes: concat(head(type, argument), ...items.slice(0, -1), [0xff]),
    };
  }
  if (type === 5 && argument > 0) yield* entryVariantsOf(node);
  if (type === 7) {
    for (const simple of [[0xf7], [0xf0], [0xe0], [0xf8, 0xff], [0xf8, 0x14]]) {
      yield { name: `simple ${simple.join()}`, bytes: Uint8Array.from(simple) };
    }
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -0, 1]) {
      yield { name: `the float ${value}`, bytes: float64(value) };
    }
    if (bytes.length === 9) {
      const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(1);
      yield { name: "a float of 32 bits", bytes: float32(value) };
    }
  }
}

function* entryVariantsOf(node: Node): Generator<Mutant> {
  const entries = Array.from({ length: node.argument }, (_, index) =>
    concat(...node.children.slice(2 * index, 2 * index + 2).map((child) => child.bytes)),
  );
  const [first, ...others] = entries;
  const last = entries.at(-1);
  if (first === undefined || last === undefined) return;
  yield {
    name: "the first entry twice",
    bytes: concat(head(5, entries.length + 1), first, ...entries),
  };
  yield {
    name: "the last entry twice",
    bytes: concat(head(5, entries.length + 1), ...entries, last),
  };
  if (others.length > 0) {
    yield {
      name: "entries turned round",
      bytes: concat(head(5, entries.length), ...entries.toReversed()),
    };
    yield {
      name: "the first entry last",
      bytes: concat(head(5, entries.length), ...others, first),
    };
  }
}

function nodeAt(all: Uint8Array, start: number): Node {
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  const first = view.getUint8(start);
  const type = first >> 5;
  const info = first & 31;
  if (type === 7) {
    return {
      type,
      argument: info,
      bytes: all.subarray(start, start + (info === 27 ? 9 : 1)),
      content: new Uint8Array(),
      children: [],
    };
  }
  const [argument, length] = argumentAt(view, start, info);
  if (type === 2 || type === 3) {
    const end = start + length + argument;
    return {
      type,
      argument,
      bytes: all.subarray(start, end),
      content: all.subarray(start + length, end),
      children: [],
    };
  }
  const children: Node[] = [];
  let end = start + length;
  const count = type === 4 ? argument : type === 5 ? 2 * argument : 0;
  while (children.length < count) {
    const child = nodeAt(all, end);
    children.push(child);
    end += child.bytes.length;
  }
  return { type, argument, bytes: all.subarray(start, end), content: new Uint8Array(), children };
}

function argumentAt(
  view: DataView,
  start: number,
  info: number,
): [argument: number, headLength: number] {
  switch (info) {
    case 24:
      return [view.getUint8(start + 1), 2];
    case 25:
      return [view.getUint16(start + 1), 3];
    case 26:
      return [view.getUint32(start + 1), 5];
    case 27:
      return [Number(view.getBigUint64(start + 1)), 9];
    default:
      return [info, 1];
  }
}

function* within(node: Node): Generator<Node> {
  yield node;
  for (const child of node.children) yield* within(child);
}

/** The bytes of `node`'s tree with `target` written as `instead`. */
function written(node: Node, target: Node, instead: Uint8Array): Uint8Array {
  if (node === target) return instead;
  if (node.children.length === 0) return node.bytes;
  const ownHead = node.bytes.subarray(0, headLength(node.argument));
  return concat(ownHead, ...node.children.map((child) => written(child, target, instead)));
}

function positionOf(all: Uint8Array, node: Node): number {
  return node.bytes.byteOffset - all.byteOffset;
}

function head(type: number, argument: number, width: number = headLength(argument)): Uint8Array {
  const bytes = new Uint8Array(width);
  const view = new DataView(bytes.buffer);
  const info = { 1: argument, 2: 24, 3: 25, 5: 26, 9: 27 }[width] ?? 0;
  view.setUint8(0, (type << 5) | info);
  if (width === 2) view.setUint8(1, argument);
  if (width === 3) view.setUint16(1, argument);
  if (width === 5) view.setUint32(1, argument);
  if (width === 9) view.setBigUint64(1, BigInt(argument));
  return bytes;
}

function headLength(argument: number): number {
  if (argument < 24) return 1;
  if (argument < 2 ** 8) return 2;
  if (argument < 2 ** 16) return 3;
  return argument < 2 ** 32 ? 5 : 9;
}

function widerThan(argument: number): number[] {
  return [2, 3, 5, 9].filter((width) => width > headLength(argument));
}

function float64(value: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = 0xfb;
  new DataView(bytes.buffer).setFloat64(1, value);
  return bytes;
}

function float32(value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = 0xfa;
  new DataView(bytes.buffer).setFloat32(1, value);
  return bytes;
}

export function concat(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts.map((part) => Uint8Array.from(part))));
}
