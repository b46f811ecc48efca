/** Why something that was to fail did; fails when it did not. */
export async function refusalOf(attempt: Promise<unknown>): Promise<string> {
  const failure: unknown = await attempt.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(failure instanceof Error)) throw new Error("it did not fail");
  return failure.message;
}
