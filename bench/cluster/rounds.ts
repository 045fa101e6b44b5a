// Several sides in turn, there and back again, so that what the machine does meanwhile falls on all: A B C C B A.

export type Rounds<Name extends string, T> = Readonly<Record<Name, readonly T[]>>;

export async function rounds<Name extends string, T>(
  count: number,
  sides: Readonly<Record<Name, () => Promise<T>>>,
): Promise<Rounds<Name, T>> {
  const names = Object.keys(sides) as Name[];
  const ran = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<Name, T[]>;
  for (let round = 0; round < count; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) ran[name].push(await sides[name]());
  }
  return ran;
}
