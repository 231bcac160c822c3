// What the tests' own scripts put into a page: see fake.js and pages/bare.js.
declare var bare: any;
declare var fake: any;
