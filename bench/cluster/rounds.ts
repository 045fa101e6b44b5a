// Several sides in turn, so that what the machine does meanwhile falls on all of them, and each comes behind each, itself too, about
// as often: A B C, C B A, B C A, A C B, C A B, B A C.

export type Rounds<Name extends string, T> = Readonly<Record<Name, readonly T[]>>;

export async function rounds<Name extends string, T>(
  count: number,
  sides: Readonly<Record<Name, () => Promise<T>>>,
): Promise<Rounds<Name, T>> {
  const names = Object.keys(sides) as Name[];
  const ran = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<Name, T[]>;
  for (let round = 0; round < count; round++) {
    const first = Math.floor(round / 2) % names.length;
    const order = [...names.slice(first), ...names.slice(0, first)];
    for (const name of round % 2 === 0 ? order : order.toReversed()) ran[name].push(await sides[name]());
  }
  return ran;
}
