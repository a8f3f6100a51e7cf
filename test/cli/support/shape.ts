/** What a JSON value is made of, without the values: `"string | null"`, `"number[]"`, `[{ "name": "string" }]`. */
export type Shape = string | readonly Shape[] | { readonly [name: string]: Shape };

/**
 * A list has the one shape that fits all its items; a field that not all of them have ends with `?`. What is
 * never the same twice, as a list and a text, is a list of the shapes under `"one of"`.
 */
export function shapeOf(value: unknown): Shape {
  if (Array.isArray(value)) return listOf(shapesOf(value));
  if (!isObject(value)) return value === null ? "null" : typeof value;
  return shapeOfAll([value]);
}

function shapesOf(values: readonly unknown[]): readonly Shape[] {
  const objects = values.filter(isObject);
  const others = values.filter((value) => !isObject(value)).map(shapeOf);
  const all = [...others, ...(objects.length === 0 ? [] : [shapeOfAll(objects)])];
  const distinct = new Map(all.map((shape) => [JSON.stringify(shape), shape]));
  return [...distinct]
    .toSorted(([one], [other]) => (one < other ? 1 : -1))
    .map(([, shape]) => shape);
}

function shapeOfAll(objects: readonly object[]): Shape {
  const fields = new Map<string, unknown[]>();
  for (const [name, field] of objects.flatMap((each) => Object.entries(each)))
    fields.set(name, [...(fields.get(name) ?? []), field]);
  const shapes = [...fields].map(([name, values]) => {
    const shown = values.length === objects.length ? name : `${name}?`;
    return [shown, oneOf(shapesOf(values))] as const;
  });
  return Object.fromEntries(shapes);
}

function listOf(shapes: readonly Shape[]): Shape {
  const texts = shapes.filter((shape) => typeof shape === "string");
  if (texts.length < shapes.length) return shapes;
  return texts.length > 1 ? `(${texts.join(" | ")})[]` : `${texts.join("")}[]`;
}

function oneOf(shapes: readonly Shape[]): Shape {
  const [first = "", ...more] = shapes;
  if (more.length === 0) return first;
  const texts = shapes.filter((shape) => typeof shape === "string");
  return texts.length === shapes.length ? texts.join(" | ") : { "one of": shapes };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
