namespace Quadwalk.Tests;

/// <summary>The five-body problem in IEEE double arithmetic, in the order of operations nbody.c gives.</summary>
internal static class ExpectedOrbits
{
    private const double SolarMass = 4 * 3.141592653589793 * 3.141592653589793;
    private const double DaysPerYear = 365.24;

    private record struct Vector(double X, double Y, double Z)
    {
        public readonly double Square => (X * X) + (Y * Y) + (Z * Z);

        public static Vector operator +(Vector a, Vector b) => new(a.X + b.X, a.Y + b.Y, a.Z + b.Z);

        public static Vector operator -(Vector a, Vector b) => new(a.X - b.X, a.Y - b.Y, a.Z - b.Z);

        public static Vector operator *(Vector a, double factor) => new(a.X * factor, a.Y * factor, a.Z * factor);
    }

    private sealed class Body(Vector position, Vector velocityPerDay, double solarMasses)
    {
        public Vector Position = position;
        public Vector Velocity = velocityPerDay * DaysPerYear;

        public double Mass { get; } = solarMasses * SolarMass;
    }

    /// <summary>The energy before and after the given number of steps of a hundredth of a year.</summary>
    public static (double Before, double After) Energies(int steps)
    {
        Body[] bodies = SolarSystem();
        Vector momentum = bodies.Aggregate(default(Vector), (sum, body) => sum + (body.Velocity * body.Mass));
        bodies[0].Velocity = new(-momentum.X / SolarMass, -momentum.Y / SolarMass, -momentum.Z / SolarMass);

        double before = Energy(bodies);
        for (int step = 0; step < steps; step++)
        {
            Advance(bodies, 0.01);
        }

        return (before, Energy(bodies));
    }

    private static double Energy(Body[] bodies)
    {
        double energy = 0;
        for (int i = 0; i < bodies.Length; i++)
        {
            energy += 0.5 * bodies[i].Mass * bodies[i].Velocity.Square;
            for (int j = i + 1; j < bodies.Length; j++)
            {
                energy -= bodies[i].Mass * bodies[j].Mass / Math.Sqrt((bodies[i].Position - bodies[j].Position).Square);
            }
        }

        return energy;
    }

    private static void Advance(Body[] bodies, double dt)
    {
        for (int i = 0; i < bodies.Length; i++)
        {
            for (int j = i + 1; j < bodies.Length; j++)
            {
                Vector distance = bodies[i].Position - bodies[j].Position;
                double square = distance.Square;
                double magnitude = dt / (square * Math.Sqrt(square));
                bodies[i].Velocity -= distance * bodies[j].Mass * magnitude;
                bodies[j].Velocity += distance * bodies[i].Mass * magnitude;
            }
        }

        foreach (Body body in bodies)
        {
            body.Position += body.Velocity * dt;
        }
    }

    private static Body[] SolarSystem() =>
    [
        new(default, default, 1),
        new(new(4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01),
            new(1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05), 9.54791938424326609e-04),
        new(new(8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01),
            new(-2.76742510726411131e-03, 4.99852801234917238e-03, 2.30417297573763929e-05), 2.85885980666130812e-04),
        new(new(1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01),
            new(2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05), 4.36624404335156298e-05),
        new(new(1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01),
            new(2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05), 5.15138902046611451e-05),
    ];
}
