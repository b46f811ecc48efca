// Preloaded into a program: at each SIGUSR2 it meets two errors that nobody can catch.
process.on("SIGUSR2", () => {
  setTimeout(() => {
    throw new Error("a defect in a timer");
  });
  void Promise.reject(new Error("a rejection of nobody's"));
});
