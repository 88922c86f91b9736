% Erlang B and C by Debian's octave-queueing, and the queue with patience from its own Markov chain: a line for each value.
pkg load queueing

for load = [0.1 0.5 1 2 5 10 20 33.3 50 100 200 400]
  for n = [1 2 3 5 10 14 20 30 36 42 50 75 110 220 440]
    printf("B %.17g %d %.17g\n", load, n, erlangb(load, n));
    if load < n
      printf("C %.17g %d %.17g\n", load, n, erlangc(load, n));
    end
  end
end

% Callers who give up: states are callers, in talk and waiting. Who finds j before it is answered within t when those, and
% then a seat, come before t and before its own patience ends.
longest = 150;
t = 15;
for load = [1 4 9.5 12 30]
  for n = [1 5 10 14 32]
    for patience = [20 60 240]
      handling = 180;
      rate = load / handling;
      k = 1:n + longest;
      leave = min(k, n) / handling + max(k - n, 0) / patience;
      p = ctmc(ctmcbd(rate * ones(1, n + longest), leave));
      queue = p(n + 1:end);
      ahead = 0:longest;
      next = n / handling + ahead / patience;
      g = diag(-next - 1 / patience) + diag(next(2:end), -1);
      g = [g, [next(1); zeros(longest, 1)]; zeros(1, longest + 2)];
      answered = expm(g * t)(1:end - 1, end)';
      waiting = sum(queue);
      wait = sum(queue .* ahead) / rate;
      printf("A %.17g %d %d %.17g %.17g %.17g %.17g\n", load, n, patience, sum(p(1:n)) + sum(queue .* answered), waiting, wait, wait / patience);
    end
  end
end
printf("end\n");
