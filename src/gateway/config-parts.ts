import { z } from "zod";

export const secondMs = 1000;

export function count(most: number): z.ZodInt {
  const shape = `use an integer from 1 to ${most}`;
  return z.int(shape).min(1, shape).max(most, shape);
}
