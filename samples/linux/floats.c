/* Numbers to text and back, which the C library does with long double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *texts[] = {"1", "0.1", "2.5e3", "-1e-310", "1.7976931348623157e308", "3.14159265358979323846", "inf", "0x1.8p3"};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value = strtod(texts[i], NULL);
        double normal = fabs(value) < 1e-300 ? 0 : value; /* C libraries write denormals in more than one way */
        printf("%s = %g %.17g %a %.3f\n", texts[i], value, value, normal, value > 1e300 ? 0 : value);
    }
    printf("%Lg %.20Lf\n", 1.0L / 3, 1.0L / 3);
    double sum = 0;
    for (int i = 1; i <= 1000; i++) {
        sum += sqrt(i) / i;
    }
    printf("%.15g\n", sum);
    return 0;
}
