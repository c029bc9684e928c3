/* librdkafka's build by CMake includes this file also where it is told to do without curl: the macro that it looks at is
   defined then, as 0. Nothing of curl is used. */
